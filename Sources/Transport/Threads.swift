// Plain POSIX threads, for loops that must not live in Swift's cooperative pool.

import CCurl
import Glibc

enum Threads {
    private final class Body {
        let name: String
        let run: @Sendable () -> Void

        init(name: String, run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }

    /// A joinable thread that takes no signals: they are the program's main thread's, and a write to
    /// a closed TLS connection must not raise SIGPIPE.
    ///
    /// - Parameter name: at most 15 bytes are kept, see PR_SET_NAME in prctl(2).
    static func launch(name: String, _ run: @escaping @Sendable () -> Void) -> pthread_t {
        var all = sigset_t()
        var before = sigset_t()
        unsafe sigfillset(&all)
        unsafe pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { unsafe _ = pthread_sigmask(SIG_SETMASK, &before, nil) }

        let body = unsafe Unmanaged.passRetained(Body(name: name, run: run)).toOpaque()
        var thread = pthread_t()
        let result = unsafe pthread_create(
            &thread, nil,
            { argument in
                let body = unsafe Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue()
                unsafe pail_curl_name_thread(body.name)
                body.run()
                return nil
            }, body)
        precondition(result == 0, "no thread could be made: errno \(result)")
        return thread
    }
}
