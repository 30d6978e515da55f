// Runs one invocation: parses it and calls the command it names.

import ArgumentParser
import Glibc

/// Parses and runs commands.
enum Runner {
    /// Runs the command that the arguments name. Returns when it is done, with success.
    static func run(_ invocation: Invocation) throws(CommandFailure) {
        guard let command = try parse(invocation.arguments) else { return }
        switch command {
        case let mount as MountCommand: try mount.run(invocation)
        case let unmount as UnmountCommand: try unmount.unmount()
        case let flush as FlushCommand: try flush.flush()
        case let pending as PendingCommand: try pending.act()
        case let show as CacheCommand.Show: try show.show()
        case let clear as CacheCommand.Clear: try clear.clear()
        default: try runOther(command)
        }
    }

    /// The commands that ArgumentParser brings: `pail`, `pail cache` and `pail help` show help.
    private static func runOther(_ command: any ParsableCommand) throws(CommandFailure) {
        var command = command
        do {
            try command.run()
        } catch {
            _ = try answer(error)
        }
    }

    /// The command meant, or nil when help or the version was asked for and has been printed.
    static func parse(_ arguments: [String]) throws(CommandFailure) -> (any ParsableCommand)? {
        do {
            return try Pail.parseAsRoot(arguments)
        } catch {
            return try answer(error)
        }
    }

    /// Prints help or the version if that was asked for; anything else is wrong usage.
    private static func answer(_ error: any Error) throws(CommandFailure) -> (any ParsableCommand)?
    {
        guard Pail.exitCode(for: error) == .success else {
            throw CommandFailure(oneLine(Pail.message(for: error)), .usage)
        }
        Standard.output(Pail.fullMessage(for: error, columns: Standard.columns))
        return nil
    }

    /// ArgumentParser's message as one line in our voice: no capital, no full stop.
    static func oneLine(_ message: String) -> String {
        let lines = message.split(whereSeparator: \.isNewline)
            .map { $0.drop { $0 == " " } }
            .filter { !$0.isEmpty }
        var line = Escaping.line(lines.joined(separator: " "))
        if line.hasSuffix(".") { line.removeLast() }
        guard let first = line.first else { return "wrong usage; see 'pail help'" }
        let rest = line.dropFirst()
        line = (rest.first?.isLowercase == true ? first.lowercased() : String(first)) + rest
        return special[line] ?? line
    }

    /// Words for what people are likely to try.
    private static let special = [
        "unknown option '--read-write'":
            "--read-write is not needed: a mount can be written to unless --read-only is given"
    ]
}
