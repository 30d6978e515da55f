// Small things that callbacks set and tests look at.

import Logging
import Synchronization

/// Something that has happened.
final class Flag: Sendable {
    private let state = Mutex(false)

    var isSet: Bool { state.withLock { $0 } }
    func set() { state.withLock { $0 = true } }
}

/// Lines of text.
final class Lines: Sendable {
    private let state = Mutex<[String]>([])

    var lines: [String] { state.withLock { $0 } }
    func set(_ lines: [String]) { state.withLock { $0 = lines } }
    func add(_ line: String) { state.withLock { $0.append(line) } }
}

/// A log that is printed with the trace of a run.
struct TraceLog: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .debug

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { print("    log \(event.level): \(event.message)") }
}
