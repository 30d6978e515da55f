// Where log lines go: a stream or file, or syslog.

import CPlatform
import Glibc
import Logging

/// Lines to a descriptor: standard error, or a log file. One write(2) a line, so lines of several
/// threads (and processes, with O_APPEND) do not mix.
final class StreamSink: LogSink {
    /// What stands before the message.
    enum Style: Sendable {
        /// `pail: message`, for people at a terminal.
        case terminal
        /// `<6>message`, for journald.
        case journal
        /// `2026-11-21T06:40:35.123Z info message`, for files.
        case dated
    }

    private let descriptor: Int32
    private let style: Style

    init(descriptor: Int32, style: Style) {
        self.descriptor = descriptor
        self.style = style
    }

    func write(_ line: String, level: Logger.Level) {
        switch style {
        case .terminal:
            let mark = level >= .warning || level <= .debug ? "\(level): " : ""
            Standard.write("pail: \(mark)\(line)", to: descriptor)
        case .journal: Standard.write("<\(level.priority)>\(line)", to: descriptor)
        case .dated: Standard.write("\(Self.date()) \(level) \(line)", to: descriptor)
        }
    }

    /// The time now in UTC, as ISO 8601 with milliseconds.
    static func date() -> String {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        var parts = unsafe tm()
        unsafe gmtime_r(&time.tv_sec, &parts)
        func padded(_ number: some BinaryInteger, _ width: Int) -> String {
            let text = "\(number)"
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
        let (year, month, day) = unsafe (parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday)
        let (hour, minute, second) = unsafe (parts.tm_hour, parts.tm_min, parts.tm_sec)
        let date = "\(year)-\(padded(month, 2))-\(padded(day, 2))"
        let clock = "\(padded(hour, 2)):\(padded(minute, 2)):\(padded(second, 2))"
        return "\(date)T\(clock).\(padded(time.tv_nsec / 1_000_000, 3))Z"
    }
}

/// Lines to the system's log, as facility `daemon`.
final class SyslogSink: LogSink {
    init() { pail_open_syslog() }

    func write(_ line: String, level: Logger.Level) {
        unsafe pail_syslog(level.priority, line)
    }
}
