// Taking mounts away: umount2(2) for root, the set-user-id helper fusermount3(1) for others.

internal import CFuse
internal import Glibc
internal import Operations

extension Mountpoint {
    /// Unmounts a mount of pail, also a stale one.
    ///
    /// - Parameters:
    ///   - path: absolute or relative to the working directory.
    ///   - lazy: detach it at once even if in use; it ends when its last user does.
    public static func unmount(_ path: String, lazy: Bool = false) throws(MountpointError) {
        let table = MountTable.current()
        let resolved = try resolve(path, missing: MountpointError.notMounted, table: table)
        guard let entry = table.entry(at: resolved) else { throw .notMounted(resolved) }
        guard entry.isPail else { throw .foreign(resolved, type: entry.type) }
        if geteuid() == 0 {
            let flags = pail_umount_nofollow | (lazy ? pail_mnt_detach : 0)
            guard unsafe umount2(resolved, flags) != 0 else { return }
            switch errno {
            case EBUSY: throw .busy(resolved)
            case EINVAL, ENOENT: throw .notMounted(resolved)
            case EPERM: throw .notPermitted(resolved)
            case let number: throw .failed(resolved, Errno(rawValue: number), "")
            }
        }
        try Unmount.helper(resolved, lazy: lazy)
    }
}

enum Unmount {
    /// Takes our own mount away whoever uses it, and aborts what waits in it.
    static func detach(_ path: String) throws(MountpointError) {
        guard geteuid() == 0 else { return try helper(path, lazy: true) }
        let flags =
            pail_umount_nofollow | pail_mnt_force | pail_mnt_detach
        guard unsafe umount2(path, flags) != 0, errno != EINVAL, errno != ENOENT else {
            return
        }
        throw .failed(path, Errno(rawValue: errno), "")
    }

    /// Runs `fusermount3 -u [-z] -- PATH` and reads its words.
    static func helper(_ path: String, lazy: Bool) throws(MountpointError) {
        var ends: [Int32] = [-1, -1]
        guard unsafe pail_pipe2(&ends, O_CLOEXEC) == 0 else {
            throw .failed(path, Errno(rawValue: errno), "")
        }
        let arguments = ["fusermount3", "-u"] + (lazy ? ["-z"] : []) + ["--", path]
        let (started, child) = spawn(arguments, errors: ends[1])
        close(ends[1])
        defer { close(ends[0]) }
        guard started == 0 else {
            if started == ENOENT { throw .noHelper }
            throw .failed(path, Errno(rawValue: started), "")
        }
        let words = drain(ends[0])
        var status: Int32 = 0
        while unsafe waitpid(child, &status, 0) < 0 && errno == EINTR {}
        if status == 0 { return }
        if words.contains("busy") { throw .busy(path) }
        if words.contains("not permitted") { throw .notPermitted(path) }
        // It looks for mounts of its own user only, and does not say so.
        if words.contains("not found in") {
            let isMounted = MountTable.current().entry(at: path) != nil
            throw isMounted ? .notPermitted(path) : .notMounted(path)
        }
        throw .failed(path, .inputOutput, words)
    }

    private static func spawn(_ arguments: [String], errors: Int32) -> (Int32, pid_t) {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, errors, 2)
        var argv = unsafe arguments.map { unsafe strdup($0) } + [nil]
        // Its words are read, so they must be English.
        let path = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? "/usr/bin:/bin"
        var environment = unsafe [strdup("LC_ALL=C"), strdup("PATH=\(path)"), nil]
        defer {
            for index in unsafe argv.indices { unsafe free(argv[index]) }
            for index in unsafe environment.indices { unsafe free(environment[index]) }
        }
        var child: pid_t = 0
        let result = unsafe posix_spawnp(
            &child, "fusermount3", &actions, nil, &argv, &environment)
        return (result, child)
    }

    private static func drain(_ file: Int32) -> String {
        var text: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = unsafe read(file, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            text += chunk[..<count]
        }
        while text.last == UInt8(ascii: "\n") { text.removeLast() }
        return String(decoding: text, as: UTF8.self)
    }
}
