// A thread of our own and the semaphore it sleeps on.
//
// Blocking work (kernel notifications) runs here, never in a Task: two blocked Tasks starve the
// cooperative pool of a small machine.

internal import CFuse
internal import Glibc
internal import Operations

/// A counting semaphore, `sem_init(3)`.
@safe final class Semaphore: @unchecked Sendable {
    private let storage: UnsafeMutablePointer<sem_t>

    init() {
        unsafe storage = .allocate(capacity: 1)
        unsafe sem_init(storage, 0, 0)
    }

    deinit {
        unsafe sem_destroy(storage)
        unsafe storage.deallocate()
    }

    func signal() { unsafe sem_post(storage) }

    func wait() { while unsafe sem_wait(storage) != 0 && errno == EINTR {} }

    /// False when `timeout` passed first.
    func wait(for timeout: Duration) -> Bool {
        var until = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &until)
        let (seconds, attoseconds) = timeout.components
        let nanoseconds = Int64(until.tv_nsec) + attoseconds / 1_000_000_000
        until.tv_sec += Int(seconds + nanoseconds / 1_000_000_000)
        until.tv_nsec = Int(nanoseconds % 1_000_000_000)
        while unsafe sem_timedwait(storage, &until) != 0 {
            if errno != EINTR { return false }
        }
        return true
    }
}

/// Starts detached POSIX threads.
enum ServiceThread {
    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Runs `body` on a new thread with every signal blocked (signals belong to the main program).
    ///
    /// - Parameter name: as `top -H` shows it, 15 bytes at most.
    static func start(
        name: String, _ body: @escaping @Sendable () -> Void
    ) throws(FuseError) {
        var attributes = pthread_attr_t()
        unsafe pthread_attr_init(&attributes)
        defer { unsafe pthread_attr_destroy(&attributes) }
        unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        var all = sigset_t()
        var old = sigset_t()
        unsafe sigfillset(&all)
        unsafe pthread_sigmask(SIG_SETMASK, &all, &old)
        defer { unsafe pthread_sigmask(SIG_SETMASK, &old, nil) }

        let argument = unsafe Unmanaged.passRetained(Body(body))
        var thread = pthread_t()
        let result = unsafe pthread_create(
            &thread, &attributes,
            { raw in
                if let raw = unsafe raw {
                    unsafe Unmanaged<Body>.fromOpaque(raw).takeRetainedValue().run()
                }
                return nil
            }, argument.toOpaque())
        guard result == 0 else {
            unsafe argument.release()
            throw .noThread(Errno(rawValue: result))
        }
        _ = unsafe pail_thread_name(thread, name)
    }
}
