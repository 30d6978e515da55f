import Foundation

/// A child process whose standard output is read here; killed and reaped when released.
/// (Foundation's Process waits on run loops, which tests on pooled threads do not have.)
final class ChildProcess {
    let pid: pid_t
    private let output: Int32
    private var isReaped = false

    /// Nil when it cannot be started. Standard input and error are /dev/null.
    init?(_ arguments: [String]) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        var vector: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { for text in vector { free(text) } }
        var pid: pid_t = 0
        let result = posix_spawnp(&pid, arguments[0], &actions, nil, &vector, environ)
        close(ends[1])
        guard result == 0 else {
            close(ends[0])
            return nil
        }
        self.pid = pid
        output = ends[0]
    }

    deinit {
        close(output)
        guard !isReaped else { return }
        kill(pid, SIGKILL)
        waitpid(pid, nil, 0)
    }

    /// The next line of its output without the line end; nil at the end.
    func readLine() -> String? {
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while read(output, &byte, 1) == 1 {
            if byte == UInt8(ascii: "\n") { return String(decoding: line, as: UTF8.self) }
            line.append(byte)
        }
        return line.isEmpty ? nil : String(decoding: line, as: UTF8.self)
    }

    /// The raw status of waitpid(2).
    func wait() -> Int32 {
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        isReaped = true
        return status
    }
}
