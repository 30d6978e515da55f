// Does a mount answer? A FUSE mount whose daemon hangs holds whoever touches it, for ever and deaf to
// signals; so a child process touches it, and we wait for that only so long. The child holds none of
// our descriptors: it may outlive us.

internal import CFuse
internal import Glibc
internal import Operations

/// A look at a mount with a time limit.
enum Probe {
    enum Result: Equatable {
        /// It answers; with an error perhaps.
        case answers
        /// Its daemon is gone.
        case stale
        /// No answer in time.
        case hangs
    }

    /// Milliseconds. A daemon answers from memory; a busy machine may be slow.
    private static let limit: Int32 = 3000

    /// Looks at the mount on `path`. If no child can be started, it counts as answering: what comes
    /// after will say what is wrong.
    static func look(_ path: String, limit: Int32 = limit) -> Result {
        var ends: [Int32] = [-1, -1]
        guard unsafe pail_pipe2(&ends, O_CLOEXEC) == 0 else { return .answers }
        defer { close(ends[0]) }
        let child = unsafe pail_probe(path, ends[1])
        close(ends[1])
        guard child > 0 else { return .answers }
        var wait = pollfd(fd: ends[0], events: Int16(POLLIN), revents: 0)
        var ready: Int32
        repeat { ready = unsafe poll(&wait, 1, limit) } while ready < 0 && errno == EINTR
        guard ready > 0 else {
            kill(child, SIGKILL)
            _ = waitpid(child, nil, WNOHANG)
            return .hangs
        }
        var error: Int32 = 0
        let count = unsafe read(ends[0], &error, MemoryLayout<Int32>.size)
        while waitpid(child, nil, 0) < 0 && errno == EINTR {}
        guard count == MemoryLayout<Int32>.size else { return .answers }
        return error == ENOTCONN || error == ECONNABORTED ? .stale : .answers
    }
}

extension Mountpoint {
    /// Looks at every FUSE mount that `path` (absolute) leads to or through, outermost first, before
    /// anybody else touches it.
    static func probe(_ path: String, in table: MountTable) throws(MountpointError) {
        for entry in table.entries where entry.isFuse && path.isBelow(entry.mountpoint) {
            guard table.entry(at: entry.mountpoint) == entry else { continue }
            switch Probe.look(entry.mountpoint) {
            case .answers: continue
            case .stale: throw .stale(entry.mountpoint, isPail: entry.isPail)
            case .hangs:
                throw .hangs(entry.mountpoint, source: entry.source, isPail: entry.isPail)
            }
        }
    }

    /// Made absolute, but otherwise as written.
    static func absolute(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        guard let directory = unsafe getcwd(nil, 0) else { return path }
        defer { unsafe free(directory) }
        return unsafe String(cString: directory) + "/" + path
    }
}

extension String {
    /// True for a directory itself and all below it, by name alone.
    fileprivate func isBelow(_ directory: String) -> Bool {
        self == directory || hasPrefix(directory == "/" ? "/" : directory + "/")
    }
}
