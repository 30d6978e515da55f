// The commands' root.

import ArgumentParser

/// `pail`
struct Pail: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pail",
        abstract: "Mounts an S3 bucket, or a part of it, as a directory.",
        discussion: """
            pail mount my-bucket:/photos ~/photos
            pail unmount ~/photos

            Manual: pail(1)
            """,
        version: "pail \(Version.current)",
        subcommands: [
            MountCommand.self, UnmountCommand.self, FlushCommand.self, PendingCommand.self,
            CacheCommand.self,
        ])
}

/// This program's version.
enum Version {
    static let current = "0.1.0"
}
