// A thread for the few things that wait for ever.

import CPlatform
import Glibc

/// Starts POSIX threads.
enum DetachedThread {
    private final class Body {
        let name: String
        let run: @Sendable () -> Void
        init(_ name: String, _ run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }

    /// Runs `body` on a thread that nobody joins. `name` shows up to 15 bytes in `ps -L`.
    static func start(name: String, _ body: @escaping @Sendable () -> Void) {
        let context = unsafe Unmanaged.passRetained(Body(name, body)).toOpaque()
        var thread = pthread_t()
        let result = unsafe pthread_create(
            &thread, nil,
            { context in
                let body = unsafe Unmanaged<Body>.fromOpaque(context!).takeRetainedValue()
                unsafe pail_set_thread_name(body.name)
                body.run()
                return nil
            }, context)
        precondition(result == 0, "cannot start the thread \(name): \(Text.of(errno: result))")
        pthread_detach(thread)
    }
}
