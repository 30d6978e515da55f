// What the background process tells the waiting one: warnings, then one outcome.
//
// One line each: `warn TEXT`, `ready`, or `fail STATUS TEXT`. A pipe that ends without an outcome
// means that the background process died.

/// A line of the status pipe.
enum StatusMessage: Hashable, Sendable {
    /// Something the user should know although the mount goes on.
    case warning(String)
    /// The mount answers.
    case ready
    case failure(CommandFailure)

    /// The line, without its newline.
    var line: String {
        switch self {
        case .warning(let text): "warn " + Escaping.line(text)
        case .ready: "ready"
        case .failure(let failure):
            "fail \(failure.status.rawValue) " + Escaping.line(failure.description)
        }
    }

    /// Reads a line; nil when it is none of ours.
    init?(line: some StringProtocol) {
        let words = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        switch (words[0], words.count) {
        case ("ready", 1): self = .ready
        case ("warn", 2): self = .warning(String(words[1]))
        case ("fail", 2):
            let rest = words[1].split(separator: " ", maxSplits: 1)
            guard rest.count == 2, let number = Int32(rest[0]),
                let status = ExitStatus(rawValue: number)
            else { return nil }
            self = .failure(CommandFailure(String(rest[1]), status))
        default: return nil
        }
    }
}
