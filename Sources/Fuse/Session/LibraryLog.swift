// libfuse's own messages, which it would write to standard error, go to our log.
//
// libfuse has one log function a process; so there is one target here. Locks: one leaf mutex, never
// held while logging.

internal import CFuse
internal import Logging
internal import Synchronization

/// The target of libfuse's messages.
enum LibraryLog {
    private struct State {
        var logger: Logger?
        var last = ""
        /// libfuse writes some lines piece by piece.
        var partial = ""
    }
    private static let state = Mutex(State())

    /// Takes libfuse's messages from now on.
    static func install(_ logger: Logger) {
        state.withLock { $0.logger = logger }
        pail_fuse_take_log()
    }

    /// Forgets, and returns, the last message of a warning or worse.
    static func takeLast() -> String {
        state.withLock { state in
            defer { state.last = "" }
            return state.last
        }
    }

    fileprivate static func receive(level: Int32, line: String) {
        let whole: String? = state.withLock { state in
            state.partial += line
            guard line.hasSuffix("\n") || state.partial.utf8.count > 4096 else { return nil }
            defer { state.partial = "" }
            return state.partial
        }
        guard var words = whole else { return }
        while words.last?.isWhitespace == true { words.removeLast() }
        if words.hasPrefix("fuse: ") { words.removeFirst(6) }
        let severity: Logger.Level =
            switch level {
            case ...3: .error
            case 4: .warning
            case 5, 6: .info
            default: .debug
            }
        let logger = state.withLock { state in
            if severity >= .warning { state.last = words }
            return state.logger
        }
        // An error here ends as a FuseError with these words; the log need not shout it again.
        logger?.log(level: severity >= .warning ? .debug : .trace, "libfuse: \(words)")
    }
}

/// Called by the shim with one formatted line.
@_cdecl("pail_fuse_log_line")
func receiveLibraryLine(_ level: Int32, _ line: UnsafePointer<CChar>?) {
    guard let line = unsafe line else { return }
    unsafe LibraryLog.receive(level: level, line: String(cString: line))
}
