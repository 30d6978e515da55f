// `pail cache`

import ArgumentParser
import BlockStore

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

        /// Absolute.
        func path() throws(CommandFailure) -> String {
            let surroundings = Surroundings.current()
            if let cacheDir { return surroundings.absolute(cacheDir) }
            guard let path = MountConfiguration.defaultCacheDirectory(surroundings) else {
                throw CommandFailure(
                    "HOME is not set; say where the cache is with --cache-dir", .usage)
            }
            return path
        }
    }

    /// `pail cache show`
    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say where the cache is and how much it holds.")
        @OptionGroup var location: Location

        func show() throws(CommandFailure) {
            let path = try location.path()
            let summary: CacheSummary
            do {
                summary = try DiskBlockStore.summary(directory: path)
            } catch {
                throw CommandFailure(Escaping.line("\(error)"), .inputOutput)
            }
            for line in CacheReport.lines(path, summary) { Standard.output(line) }
        }
    }

    /// `pail cache clear`
    struct Clear: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete what the cache holds. Mounts may go on meanwhile.")
        @OptionGroup var location: Location

        func clear() throws(CommandFailure) {
            let path = try location.path()
            do {
                let (objects, bytes) = try DiskBlockStore.clear(directory: path)
                Standard.output(
                    "cleared \(Escaping.line(path)): \(CacheReport.count(objects)), "
                        + ByteSize.approximate(bytes))
            } catch {
                throw CommandFailure(Escaping.line("\(error)"), .inputOutput)
            }
        }
    }
}

/// What `pail cache show` prints.
enum CacheReport {
    /// The summary in lines of `name value`.
    static func lines(_ path: String, _ summary: CacheSummary) -> [String] {
        let limit = summary.limit.map { " of \(ByteSize.approximate($0))" } ?? ""
        var lines = [
            "directory  \(Escaping.line(path))",
            "used       \(ByteSize.approximate(summary.bytes))\(limit), \(count(summary.objects))",
            "mounts     \(summary.mounts == 0 ? "none" : "\(summary.mounts)")",
        ]
        for share in summary.shares {
            lines.append(
                "bucket     \(Escaping.line(share.store)): "
                    + "\(ByteSize.approximate(share.bytes)), \(count(share.objects))")
        }
        return lines
    }

    static func count(_ objects: Int) -> String { objects == 1 ? "1 object" : "\(objects) objects" }
}
