import Glibc
import Logging
import Synchronization
import Testing

@testable import pail

/// Keeps lines in memory.
private final class MemorySink: LogSink {
    let lines = Mutex<[String]>([])
    func write(_ line: String, level: Logger.Level) {
        lines.withLock { $0.append("\(level) \(line)") }
    }
}

@Suite struct LogTests {
    private func logger(_ level: Logger.Level, _ sink: MemorySink) -> Logger {
        Logger(label: "test") { _ in LineHandler(level: level, sink: sink) }
    }

    @Test func levelsAndMetadata() {
        let sink = MemorySink()
        var logger = logger(.info, sink)
        logger[metadataKey: "mount"] = "/m"
        logger.debug("not shown")
        logger.error("failed", metadata: ["path": "/a b", "code": "NoSuchKey"])
        #expect(
            sink.lines.withLock { $0 } == [#"error failed code=NoSuchKey mount=/m path="/a b""#])
    }

    @Test func aMessageIsOneLine() {
        let sink = MemorySink()
        logger(.trace, sink).info("a\nb\u{1B}", metadata: ["key": "x\r\ny"])
        #expect(sink.lines.withLock { $0 } == [#"info a\nb\u{1B} key=x\r\ny"#])
    }

    @Test(arguments: [
        (StreamSink.Style.terminal, Logger.Level.info, "pail: hello\n"),
        (.terminal, .warning, "pail: warning: hello\n"),
        (.journal, .error, "<3>hello\n"), (.journal, .trace, "<7>hello\n"),
    ])
    func styles(_ style: StreamSink.Style, _ level: Logger.Level, _ expected: String) {
        #expect(written(style, level) == expected)
    }

    @Test func filesAreDated() {
        let line = written(.dated, .notice)
        #expect(
            line.wholeMatch(of: /20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ notice hello\n/) != nil)
    }

    private func written(_ style: StreamSink.Style, _ level: Logger.Level) -> String {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { return "no pipe" }
        defer {
            close(ends[0])
            close(ends[1])
        }
        StreamSink(descriptor: ends[1], style: style).write("hello", level: level)
        var buffer = [UInt8](repeating: 0, count: 200)
        let count = read(ends[0], &buffer, buffer.count)
        return String(decoding: buffer[..<max(count, 0)], as: UTF8.self)
    }
}
