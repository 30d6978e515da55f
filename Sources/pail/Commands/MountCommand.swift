// `pail mount`

import ArgumentParser

/// Mounts a bucket.
struct MountCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mount",
        abstract: "Mount a bucket on a directory.",
        discussion: """
            Returns once the files are there; pail goes on in the background until 'pail unmount'. \
            The mount can be written to where the credentials allow it.
            """)

    @Argument(help: "BUCKET, BUCKET:/BASE/PATH or s3://BUCKET/BASE/PATH.")
    var source: String

    @Argument(help: "An empty directory.")
    var mountpoint: String

    @OptionGroup(title: "Source") var server: SourceOptions
    @OptionGroup(title: "Memory and disk") var cache: CacheOptions
    @OptionGroup(title: "Writing") var writing: WritingOptions
    @OptionGroup(title: "Owner and permissions") var ownership: OwnershipOptions
    @OptionGroup(title: "Process") var process: ProcessOptions

    /// What was asked for, checked.
    func configuration(_ surroundings: Surroundings) throws(CommandFailure) -> MountConfiguration {
        do {
            return try MountConfiguration(
                source: source, mountpoint: mountpoint, options: server, cache: cache,
                writing: writing, ownership: ownership, process: process,
                surroundings: surroundings)
        } catch {
            throw CommandFailure(error.description, .usage)
        }
    }

    /// Mounts: in the foreground it returns when the mount has ended, else once it answers.
    func run(_ invocation: Invocation) throws(CommandFailure) {
        let surroundings = Surroundings.current()
        let statusPipe = Background.adoptStatusPipe()
        let configuration = try configuration(surroundings)
        if invocation.isFake { return }
        if configuration.staysInForeground || statusPipe != nil {
            let starter = Starter(statusPipe: statusPipe)
            try MountProcess(configuration, surroundings, starter).run()
        } else {
            try Background.start(CommandLine.arguments)
        }
    }
}
