// `pail unmount`

import ArgumentParser
import CPlatform
import Glibc

/// Takes a mount away.
struct UnmountCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unmount",
        abstract: "Unmount a directory.",
        aliases: ["umount"])

    @Flag(
        name: [.customShort("l"), .long],
        help: "Take it out of the tree now, even when files on it are open.")
    var lazy = false

    @Argument(help: "The directory that was mounted.")
    var mountpoint: String

    /// Unmounts; a user without rights over mounts does it by fusermount3.
    func unmount() throws(CommandFailure) {
        let path = MountTable.resolved(Surroundings.current().absolute(mountpoint))
        let shown = Escaping.line(path)
        guard let entry = MountTable.top(at: path) else {
            throw CommandFailure("nothing is mounted at \(shown)", .noInput)
        }
        guard entry.isPail else {
            throw CommandFailure(
                "\(shown) is a mount of type \(entry.type), not one of pail's; use umount(8)",
                .usage)
        }
        if geteuid() == 0 {
            try unmountAsRoot(path, shown)
        } else {
            try unmountAsUser(path, shown)
        }
    }

    private func unmountAsRoot(_ path: String, _ shown: String) throws(CommandFailure) {
        // UMOUNT_NOFOLLOW, MNT_DETACH; Glibc shows them as an enumeration only.
        let flags: Int32 = 8 | (lazy ? 2 : 0)
        guard unsafe umount2(path, flags) != 0 else { return }
        if errno == EBUSY { throw busy(shown) }
        throw CommandFailure("cannot unmount \(shown): \(Text.of(errno: errno))", .system)
    }

    private func unmountAsUser(_ path: String, _ shown: String) throws(CommandFailure) {
        let arguments = ["fusermount3", "-u"] + (lazy ? ["-z"] : []) + ["--", path]
        switch Subprocess.run(arguments) {
        case 0: return
        case nil:
            throw CommandFailure(
                "cannot unmount \(shown): fusermount3 is not installed (package fuse3)",
                .unavailable)
        default:
            // It says only in words why; a mount that is ours and still there is busy.
            throw busy(shown)
        }
    }

    private func busy(_ shown: String) -> CommandFailure {
        CommandFailure(
            "\(shown) is in use, or not yours to unmount; see who with 'fuser -vm \(shown)', "
                + "or take it out of the tree with 'pail unmount --lazy \(shown)'", .temporary)
    }
}

/// Runs other programs.
enum Subprocess {
    /// Runs a program found in PATH, its output discarded.
    ///
    /// - Returns: its exit status, 128 + n when signal n ended it, nil when it could not be started.
    static func run(_ arguments: [String]) -> Int32? {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        for descriptor in [STDOUT_FILENO, STDERR_FILENO] {
            unsafe posix_spawn_file_actions_addopen(
                &actions, descriptor, "/dev/null", O_WRONLY, 0)
        }
        var vector = unsafe arguments.map { unsafe strdup($0) } + [nil]
        defer { unsafe vector.forEach { unsafe free($0) } }
        var child: pid_t = 0
        guard unsafe posix_spawnp(&child, arguments[0], &actions, nil, &vector, environ) == 0 else {
            return nil
        }
        var status: Int32 = 0
        while unsafe waitpid(child, &status, 0) < 0 {
            guard errno == EINTR else { return nil }
        }
        let signal = status & 0x7F
        return signal == 0 ? status >> 8 & 0xFF : 128 + signal
    }
}
