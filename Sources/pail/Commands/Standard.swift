// Standard output and standard error.

import Glibc

/// Writes lines to the process's own streams.
enum Standard {
    /// Writes a line to standard output.
    static func output(_ line: String) { write(line, to: STDOUT_FILENO) }

    /// Writes a line to standard error.
    static func error(_ line: String) { write(line, to: STDERR_FILENO) }

    /// The terminal's width for help pages, 80 when there is no terminal.
    static var columns: Int {
        guard isatty(STDOUT_FILENO) == 1 else { return 80 }
        var size = winsize()
        guard unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col >= 40 else {
            return 80
        }
        return Int(size.ws_col)
    }

    /// Writes a whole line to a descriptor, in one write(2) where the kernel allows; an error ends it.
    static func write(_ line: String, to descriptor: Int32) { text(line + "\n", to: descriptor) }

    /// Writes text as it is.
    static func text(_ text: String, to descriptor: Int32) {
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            let count = unsafe bytes[sent...].withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            sent += count
        }
    }
}
