// Where this process's log goes.

import Glibc
import Logging

/// Chooses the log's sink and sets it for the whole process.
enum LogSetup {
    /// Sets the log up, once.
    ///
    /// - Throws: `cannotCreate` when the log file cannot be opened.
    static func start(
        _ configuration: MountConfiguration, isBackground: Bool, surroundings: Surroundings
    ) throws(CommandFailure) -> Logger {
        let sink = try sink(configuration, isBackground, surroundings)
        let level = configuration.logLevel
        LoggingSystem.bootstrap { _ in LineHandler(level: level, sink: sink) }
        return Logger(label: "pail")
    }

    private static func sink(
        _ configuration: MountConfiguration, _ isBackground: Bool, _ surroundings: Surroundings
    ) throws(CommandFailure) -> any LogSink {
        if let path = configuration.logFile {
            let descriptor = unsafe open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o640)
            guard descriptor >= 0 else {
                throw CommandFailure(
                    "cannot open the log file \(Escaping.line(path)): \(Text.of(errno: errno)); "
                        + "name another with --log-file", .cannotCreate)
            }
            return StreamSink(descriptor: descriptor, style: .dated)
        }
        if isBackground { return SyslogSink() }
        let isJournal = isJournal(surroundings.variable("JOURNAL_STREAM"))
        return StreamSink(descriptor: STDERR_FILENO, style: isJournal ? .journal : .terminal)
    }

    /// True when standard error is the journal's socket, `DEVICE:INODE` as systemd tells.
    /// Source: systemd.exec(5), JOURNAL_STREAM
    private static func isJournal(_ variable: String?) -> Bool {
        var status = stat()
        guard let variable, unsafe fstat(STDERR_FILENO, &status) == 0 else { return false }
        return variable == "\(status.st_dev):\(status.st_ino)"
    }
}
