// `pail flush`

import ArgumentParser
import Control

/// Waits until what was written is in the bucket.
struct FlushCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "flush",
        abstract: "Wait until everything that was written to a mount is in the bucket.")

    @Option(
        help: ArgumentHelp(
            "How long to wait. Default: the mount's --flush-timeout.", valueName: "duration"),
        transform: { try TimeSpan.parse($0) })
    var timeout: Duration?

    @Argument(help: "The directory that was mounted.")
    var mountpoint: String

    /// Returns only when all is published.
    func flush() throws(CommandFailure) {
        let answer = try ControlCall(mountpoint).flush(timeout: timeout)
        guard answer.kind == .failed else { return }
        let problems = answer.problems ?? []
        for problem in problems.dropLast() { Standard.error("pail: \(Escaping.line(problem))") }
        throw CommandFailure(Escaping.line(problems.last ?? "not everything was sent"), .temporary)
    }
}
