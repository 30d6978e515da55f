// The log: one line for each message, for people and for journald.

import Glibc
import Logging

/// Where lines go.
protocol LogSink: Sendable {
    /// Writes one line, without its newline. Called from any thread.
    func write(_ line: String, level: Logger.Level)
}

/// Formats messages for a sink: `message key=value`, control characters escaped.
struct LineHandler: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    let sink: any LogSink

    init(level: Logger.Level, sink: any LogSink) {
        logLevel = level
        self.sink = sink
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = metadata
        if let more = event.metadata { all.merge(more) { $1 } }
        sink.write(Self.line("\(event.message)", all), level: event.level)
    }

    /// The message and its metadata in order of their names.
    static func line(_ message: String, _ metadata: Logger.Metadata) -> String {
        var line = Escaping.line(message)
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            let text = Escaping.line("\(value)")
            line += text.contains(" ") || text.isEmpty ? " \(key)=\"\(text)\"" : " \(key)=\(text)"
        }
        return line
    }
}

extension Logger.Level {
    /// syslog(3)'s number for the level; journald reads it as `<3>` before a line.
    var priority: Int32 {
        switch self {
        case .trace, .debug: LOG_DEBUG
        case .info: LOG_INFO
        case .notice: LOG_NOTICE
        case .warning: LOG_WARNING
        case .error: LOG_ERR
        case .critical: LOG_CRIT
        }
    }
}
