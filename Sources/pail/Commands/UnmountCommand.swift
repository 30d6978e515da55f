// `pail unmount`

import ArgumentParser
import Control
import Fuse

/// Takes a mount away.
struct UnmountCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unmount",
        abstract: "Unmount a directory, once what was written to it is in the bucket.",
        aliases: ["umount"])

    @Flag(
        name: [.customShort("l"), .long],
        help: "Take it out of the tree now, even when files on it are open.")
    var lazy = false

    @Argument(help: "The directory that was mounted.")
    var mountpoint: String

    /// Waits until what was written is in the bucket, as long as the mount's `--flush-timeout`; what is
    /// left then stays on the local disk. A daemon that is not there or cannot be asked is no reason not
    /// to unmount.
    private func flushFirst() throws(CommandFailure) {
        guard let call = try? ControlCall(mountpoint) else { return }
        guard let answer = try? call.flush(timeout: nil), answer.kind == .failed else { return }
        for problem in answer.problems ?? [] {
            Standard.error("pail: warning: \(Escaping.line(problem))")
        }
    }

    /// Unmounts; a dead mount as well.
    func unmount() throws(CommandFailure) {
        if !lazy { try flushFirst() }
        do {
            try Mountpoint.unmount(Surroundings.current().absolute(mountpoint), lazy: lazy)
        } catch {
            throw CommandFailure(error)
        }
    }
}

extension CommandFailure {
    /// What is wrong with a mountpoint.
    init(_ error: MountpointError) {
        let status: ExitStatus =
            switch error {
            case .missing, .notDirectory, .notEmpty, .notMounted: .noInput
            case .alreadyMounted, .stale, .hangs, .busy: .temporary
            case .noDevice, .noHelper: .unavailable
            case .notWritable, .deviceNotPermitted, .noAdminCapability, .allowOtherNotAllowed,
                .notPermitted:
                .noPermission
            case .foreign: .usage
            case .unreachable, .failed: .system
            }
        self.init(Escaping.line(error.description), status)
    }
}
