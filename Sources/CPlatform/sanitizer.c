// What the thread sanitizer must be told of Swift's Mutex. Empty in every other build.
//
// The lock's quick path is an atomic exchange inlined into the caller, which the sanitizer sees. A
// contended lock and unlock go through two functions of libswiftSynchronization, which is not
// instrumented: there the kernel hands the lock over (FUTEX_LOCK_PI), and the sanitizer, that
// does not see it, calls everything behind such a lock a race. The two functions stand in the
// program itself here: they call the library's and tell the sanitizer what happened, on the word
// of the lock, where it also notes the quick path. So the lock under test is the real one.
//
// Names and calling convention: Swift's ABI for _MutexHandle._lockSlow(UInt32) and ._unlockSlow().
// Source: stdlib/public/Synchronization/Mutex/LinuxImpl.swift in github.com/swiftlang/swift

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *self

SWIFT void pail_lock_slow(uint32_t thread, SELF) __asm__(LOCK_SLOW);
SWIFT void pail_unlock_slow(SELF) __asm__(UNLOCK_SLOW);

// sanitizer/tsan_interface.h
void __tsan_acquire(void *address);
void __tsan_release(void *address);

static SWIFT void (*real_lock_slow)(uint32_t thread, SELF);
static SWIFT void (*real_unlock_slow)(SELF);

static void *find(const char *name) {
    void *function = dlsym(RTLD_NEXT, name);
    if (!function) {
        fprintf(stderr, "this Swift has no %s: mend Sources/CPlatform/sanitizer.c\n", name);
        abort();
    }
    return function;
}

__attribute__((constructor)) static void find_both(void) {
    real_lock_slow = (SWIFT void (*)(uint32_t, SELF))find(LOCK_SLOW);
    real_unlock_slow = (SWIFT void (*)(SELF))find(UNLOCK_SLOW);
}

SWIFT void pail_lock_slow(uint32_t thread, SELF) {
    real_lock_slow(thread, self);
    __tsan_acquire(self);
}

SWIFT void pail_unlock_slow(SELF) {
    __tsan_release(self);
    real_unlock_slow(self);
}

#endif
#endif
