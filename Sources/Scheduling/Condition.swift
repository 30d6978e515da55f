// A lock with a condition to wait for, and threads: the little that Synchronization lacks.

import CPlatform
import Glibc

/// A pthread mutex with one condition on CLOCK_MONOTONIC. Freed with the object.
@safe package final class Condition: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>

    package init() {
        unsafe mutex = .allocate(capacity: 1)
        unsafe condition = .allocate(capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(condition, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    package func lock() { unsafe pthread_mutex_lock(mutex) }

    package func unlock() { unsafe pthread_mutex_unlock(mutex) }

    /// Runs `body` under the lock.
    package func withLock<R>(_ body: () -> R) -> R {
        lock()
        defer { unlock() }
        return body()
    }

    /// Waits for a signal; the lock is held before and after. May wake without one.
    package func wait() { unsafe pthread_cond_wait(condition, mutex) }

    /// Waits for a signal, at most until `deadline` on CLOCK_MONOTONIC.
    package func wait(until deadline: Duration) {
        var time = Clock.timespecOf(deadline)
        unsafe pthread_cond_timedwait(condition, mutex, &time)
    }

    package func signal() { unsafe pthread_cond_signal(condition) }

    package func broadcast() { unsafe pthread_cond_broadcast(condition) }
}

/// What threads serve and a stop waits for.
protocol Served: AnyObject, Sendable {
    /// A thread is about to serve.
    func threadStarts()
    /// A thread has served for the last time.
    func threadEnds()
}

enum Thread {
    private final class Start: Sendable {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Starts a detached thread that runs `body` on `served`, counted in it from now on.
    static func start<S: Served>(
        name: String, counted served: S, _ body: @escaping @Sendable (S) -> Void
    ) {
        served.threadStarts()
        let start = Start(name: name) {
            body(served)
            served.threadEnds()
        }
        var thread = pthread_t()
        let context = unsafe Unmanaged.passRetained(start).toOpaque()
        let result = unsafe pthread_create(&thread, nil, Self.entry, context)
        // A daemon without its threads cannot serve: better to end with a reason than to hang.
        precondition(result == 0, "cannot start a thread: errno \(result)")
        pthread_detach(thread)
    }

    private static let entry:
        @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? =
            { context in
                let start = unsafe Unmanaged<Start>.fromOpaque(context!).takeRetainedValue()
                blockSignals()
                unsafe pail_set_thread_name(start.name)
                start.body()
                return nil
            }

    /// Signals to the process go to the threads that wait for them, never to a worker.
    private static func blockSignals() {
        var all = sigset_t()
        unsafe sigfillset(&all)
        // Faults of the thread itself must stay deadly at once.
        for fault in [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP] {
            unsafe sigdelset(&all, fault)
        }
        unsafe pthread_sigmask(SIG_BLOCK, &all, nil)
    }
}
