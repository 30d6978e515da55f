// SIGTERM, SIGINT and SIGHUP unmount; a second one no longer waits for open files.
//
// The signals are blocked in every thread (block before the first thread is started) and taken by one
// thread with sigwait(3), so that the reaction is ordinary code.

import Glibc

/// Waits for the signals that end a mount.
enum Signals {
    private static let ending = [SIGTERM, SIGINT, SIGHUP]

    /// Blocks the ending signals in this thread and those it will start.
    static func block() {
        var set = endingSet()
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Starts the thread that takes the signals.
    ///
    /// - Parameter handler: called on that thread for each signal, with how many came before it.
    static func handle(_ handler: @escaping @Sendable (_ signal: Int32, _ before: Int) -> Void) {
        DetachedThread.start(name: "pail-signals") {
            var set = endingSet()
            var count = 0
            while true {
                var signal: Int32 = 0
                guard unsafe sigwait(&set, &signal) == 0 else { continue }
                handler(signal, count)
                count += 1
            }
        }
    }

    /// The signal's name for the log.
    static func name(_ signal: Int32) -> String {
        switch signal {
        case SIGTERM: "SIGTERM"
        case SIGINT: "SIGINT"
        case SIGHUP: "SIGHUP"
        default: "signal \(signal)"
        }
    }

    private static func endingSet() -> sigset_t {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for signal in ending { unsafe sigaddset(&set, signal) }
        return set
    }
}
