// `pail unmount`

import ArgumentParser

/// Takes a mount away.
struct UnmountCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unmount",
        abstract: "Unmount a directory.",
        aliases: ["umount"])

    @Argument(help: "The directory that was mounted.")
    var mountpoint: String
}
