// From argv to the arguments that the commands parse.
//
// pail is called in three ways: as `pail COMMAND ...`; by mount(8) as `mount.fuse.pail SPEC DIR
// [-sfnv] [-o OPTIONS]`; and by fuse3's mount.fuse helper as `pail SPEC DIR -o OPTIONS`.

/// One call of the program.
struct Invocation: Hashable {
    /// What the commands parse: a subcommand and long options, `-o` already expanded.
    var arguments: [String]
    /// True when mount(8) called: exit statuses are then those it knows.
    var isMountHelper: Bool
    /// mount(8)'s `-f`: check the command line, mount nothing.
    var isFake = false

    private static let commands = [
        "mount", "unmount", "umount", "flush", "pending", "cache", "help",
    ]
    private static let helperNames: Set<String> = [
        "mount.fuse.pail", "mount.pail", "mount.fuse3.pail",
    ]

    /// - Parameter argv: with the program's name first.
    init(argv: [String]) throws(CommandFailure) {
        let rest = Array(argv.dropFirst())
        if Self.isMountHelper(argv) {
            self = try Self.helper(rest)
        } else {
            if let first = rest.first { try Self.checkCommand(first) }
            let arguments = rest.first == "mount" ? try Self.expand(rest) : rest
            self.init(arguments: arguments, isMountHelper: false)
        }
    }

    /// True when the call has one of the forms that mount(8) uses. mount.fuse always says `-o`.
    static func isMountHelper(_ argv: [String]) -> Bool {
        if isHelperName(argv) { return true }
        let rest = argv.dropFirst()
        guard let first = rest.first, !first.hasPrefix("-"), !commands.contains(first) else {
            return false
        }
        let looksLikeMount = rest.count >= 2 && rest.dropFirst().first?.hasPrefix("-") == false
        return looksLikeMount && (first.contains(":") || rest.contains { $0.hasPrefix("-o") })
    }

    private static func isHelperName(_ argv: [String]) -> Bool {
        argv.first?.split(separator: "/").last.map { helperNames.contains(String($0)) } ?? false
    }

    private init(arguments: [String], isMountHelper: Bool, isFake: Bool = false) {
        self.arguments = arguments
        self.isMountHelper = isMountHelper
        self.isFake = isFake
    }

    /// `pail unmont /mnt` is a mistyped command.
    private static func checkCommand(_ first: String) throws(CommandFailure) {
        guard !first.hasPrefix("-"), !commands.contains(first) else { return }
        let mend =
            Suggestion.nearest(to: first, among: commands).map { "did you mean 'pail \($0)'?" }
            ?? "to mount a bucket: pail mount BUCKET MOUNTPOINT"
        throw CommandFailure("unknown command '\(Escaping.line(first))'; \(mend)", .usage)
    }

    /// mount(8)'s helper interface: `SPEC DIR [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]`.
    /// Source: mount(8), EXTERNAL HELPERS.
    private static func helper(_ rest: [String]) throws(CommandFailure) -> Invocation {
        var arguments = ["mount"]
        var isSloppy = false
        var isFake = false
        var index = 0
        var options: [String] = []
        while index < rest.count {
            let argument = rest[index]
            index += 1
            switch argument {
            case "-o", "-t", "-N":
                guard index < rest.count else {
                    throw CommandFailure("\(argument) needs a value", .usage)
                }
                if argument == "-o" { options.append(rest[index]) }
                if argument == "-N" {
                    throw CommandFailure(
                        "mounting in another namespace (-N) is not supported; use nsenter(1)",
                        .usage)
                }
                index += 1
            case _ where argument.hasPrefix("-o"):
                options.append(String(argument.dropFirst(2)))
            case "-v", "-n": break
            case "-w", "-r": if argument == "-r" { arguments.append("--read-only") }
            case _ where isHelperFlags(argument):
                isSloppy = isSloppy || argument.contains("s")
                isFake = isFake || argument.contains("f")
            default: arguments.append(argument)
            }
        }
        for option in options { arguments += try long(option, sloppy: isSloppy) }
        return Invocation(arguments: arguments, isMountHelper: true, isFake: isFake)
    }

    private static func isHelperFlags(_ argument: String) -> Bool {
        argument.count > 1 && argument.hasPrefix("-")
            && argument.dropFirst().allSatisfy { "sfnv".contains($0) }
    }

    /// Puts long options in the place of every `-o`, so that the last of several wins.
    private static func expand(_ arguments: [String]) throws(CommandFailure) -> [String] {
        var result: [String] = []
        var index = 0
        while index < arguments.count {
            let argument = arguments[index]
            index += 1
            if argument == "--" {
                return result + [argument] + arguments[index...]
            } else if argument == "-o" {
                guard index < arguments.count else {
                    throw CommandFailure("-o needs options: -o ro,allow_other", .usage)
                }
                result += try long(arguments[index], sloppy: false)
                index += 1
            } else if argument.hasPrefix("-o") {
                result += try long(String(argument.dropFirst(2)), sloppy: false)
            } else {
                result.append(argument)
            }
        }
        return result
    }

    private static func long(_ text: String, sloppy: Bool) throws(CommandFailure) -> [String] {
        do {
            return try OptionString.longOptions(text, sloppy: sloppy)
        } catch {
            throw CommandFailure(error.description, .usage)
        }
    }
}
