// What Glibc hides from Swift, and the few functions that must be C.
#pragma once
#include <stdint.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Names the calling thread for `ps -L` and `top -H`; only the first 15 bytes count.
void pail_set_thread_name(const char *name);

#ifdef __cplusplus
}
#endif
