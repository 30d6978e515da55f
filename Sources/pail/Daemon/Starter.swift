// Whoever waits for the mount: the terminal that started the background process, or systemd.

import Glibc

/// Says how starting goes. In the foreground, warnings and failures are lines on standard error.
final class Starter: Sendable {
    /// The status pipe's end; nil in the foreground.
    private let descriptor: Int32?

    init(statusPipe: Int32?) { descriptor = statusPipe }

    /// True when this is a background process.
    var isBackground: Bool { descriptor != nil }

    /// Something the user should know although the mount goes on.
    func warn(_ text: String) {
        if let descriptor {
            _ = Self.send(.warning(text), to: descriptor)
        } else {
            Standard.error("pail: warning: \(Escaping.line(text))")
        }
    }

    /// Says that the mount answers, and lets go of the terminal.
    ///
    /// - Returns: false when nobody waits any more (the waiting process was interrupted): the mount
    ///   is then not wanted.
    func ready() -> Bool {
        guard let descriptor else { return true }
        let isHeard = Self.send(.ready, to: descriptor)
        close(descriptor)
        Self.leaveTerminal()
        return isHeard
    }

    /// Says why there is no mount.
    ///
    /// - Returns: false when the caller is to say it itself (in the foreground).
    func fail(_ failure: CommandFailure) -> Bool {
        guard let descriptor else { return false }
        return Self.send(.failure(failure), to: descriptor)
    }

    private static func send(_ message: StatusMessage, to descriptor: Int32) -> Bool {
        let bytes = Array((message.line + "\n").utf8)
        var count: Int
        repeat {
            count = unsafe write(descriptor, bytes, bytes.count)
        } while count < 0 && errno == EINTR
        return count == bytes.count
    }

    /// Standard input, output and error become /dev/null, so that whoever started the mount in a pipe
    /// sees its end.
    private static func leaveTerminal() {
        let null = unsafe open("/dev/null", O_RDWR | O_CLOEXEC)
        guard null >= 0 else { return }
        for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] { dup2(null, descriptor) }
        if null > 2 { close(null) }
    }
}
