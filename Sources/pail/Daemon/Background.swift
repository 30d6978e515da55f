// Going into the background.
//
// The process starts itself again in a new session and waits for word from it. It does not fork on
// its own: the runtime has threads by then that a fork would not take along. Nothing but argv, the
// environment and one descriptor goes over; the descriptor's number goes in the environment, so that
// the process list shows the command as it was written.

import CPlatform
import Glibc

/// Starts the background process, and is it.
enum Background {
    private static let variable = "PAIL_STATUS_FD"

    /// The status pipe's end when this is a background process; takes the variable away, so that no
    /// process started from here believes the same.
    static func adoptStatusPipe() -> Int32? {
        guard let text = unsafe getenv(variable).map({ unsafe String(cString: $0) }) else {
            return nil
        }
        unsafe unsetenv(variable)
        var status = stat()
        guard let descriptor = Int32(text), descriptor > 2,
            unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFIFO
        else { return nil }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        closeInherited(but: descriptor)
        return descriptor
    }

    /// A mount lives long: it must not hold the locks and pipes of whoever started it.
    private static func closeInherited(but kept: Int32) {
        for descriptor in 3..<kept { close(descriptor) }
        pail_close_from(kept + 1)
    }

    /// Starts this program again with the same arguments, and returns once that one says `ready`.
    static func start(_ argv: [String]) throws(CommandFailure) {
        var ends: [Int32] = [0, 0]
        guard unsafe pipe(&ends) == 0 else { throw failure("pipe") }
        _ = fcntl(ends[0], F_SETFD, FD_CLOEXEC)
        defer { close(ends[0]) }
        unsafe setenv(variable, "\(ends[1])", 1)
        let spawned = Result { () throws(CommandFailure) in try spawn(argv) }
        unsafe unsetenv(variable)
        close(ends[1])
        try follow(try spawned.get(), ends[0])
    }

    private static func spawn(_ argv: [String]) throws(CommandFailure) -> pid_t {
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        // POSIX_SPAWN_SETSID; Glibc shows it only under _GNU_SOURCE.
        unsafe posix_spawnattr_setflags(&attributes, 0x80)
        var arguments = unsafe argv.map { unsafe strdup($0) } + [nil]
        defer { _ = unsafe arguments.map { unsafe free($0) } }
        var child: pid_t = 0
        let error = unsafe posix_spawn(
            &child, executable(), nil, &attributes, &arguments, environ)
        guard error == 0 else { throw failure("posix_spawn", error) }
        return child
    }

    /// The path of this program: by its name, so that the process list shows it; by the link when
    /// the file was replaced meanwhile.
    private static func executable() -> String {
        let link = "/proc/self/exe"
        guard let path = unsafe realpath(link, nil) else { return link }
        defer { unsafe free(path) }
        let name = unsafe String(cString: path)
        return unsafe access(name, X_OK) == 0 ? name : link
    }

    /// Reads the pipe until there is an outcome.
    private static func follow(_ child: pid_t, _ descriptor: Int32) throws(CommandFailure) {
        var pending: [UInt8] = []
        while let chunk = readSome(descriptor) {
            pending += chunk
            while let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: pending[..<end], as: UTF8.self)
                pending.removeSubrange(...end)
                switch StatusMessage(line: line) {
                case .ready: return
                case .failure(let failure):
                    _ = reap(child)
                    throw failure
                case .warning(let text): Standard.error("pail: warning: \(text)")
                case nil: break
                }
            }
        }
        throw CommandFailure(
            "the background process \(reap(child)) before the mount was ready; "
                + "run it with --foreground --log-level debug to see more", .software)
    }

    private static func readSome(_ descriptor: Int32) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = unsafe read(descriptor, &bytes, bytes.count)
            if count < 0, errno == EINTR { continue }
            return count > 0 ? Array(bytes[..<count]) : nil
        }
    }

    /// Waits for the end of the child and says how it ended.
    private static func reap(_ child: pid_t) -> String {
        var status: Int32 = 0
        while unsafe waitpid(child, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7F
        return signal == 0
            ? "ended with status \(status >> 8 & 0xFF)" : "was killed by signal \(signal)"
    }

    private static func failure(_ call: String, _ error: Int32 = errno) -> CommandFailure {
        CommandFailure("cannot go into the background: \(call): \(Text.of(errno: error))", .system)
    }
}

/// The C library's words.
enum Text {
    /// strerror(3).
    static func of(errno: Int32) -> String { unsafe String(cString: strerror(errno)) }
}
