// `pail unmount`

import ArgumentParser
import Fuse

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

    /// Unmounts; a dead mount as well.
    func unmount() throws(CommandFailure) {
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
