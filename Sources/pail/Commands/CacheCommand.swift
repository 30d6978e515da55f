// `pail cache`

import ArgumentParser

/// Shows and clears the block cache.
struct CacheCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cache",
        abstract: "Show or clear the cache on the local disk.",
        subcommands: [Show.self, Clear.self])

    /// Where the cache is.
    struct Location: ParsableArguments {
        @Option(
            help: ArgumentHelp(
                "The cache's directory. Default: as for 'pail mount'.", valueName: "directory"))
        var cacheDir: String?
    }

    /// `pail cache show`
    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say where the cache is and how much it holds.")
        @OptionGroup var location: Location
    }

    /// `pail cache clear`
    struct Clear: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete what the cache holds. Mounts may go on meanwhile.")
        @OptionGroup var location: Location
    }
}
