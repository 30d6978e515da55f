import Foundation
import Testing

@testable import pail

/// The manual and `--help` must not drift apart.
@Suite struct ManualTests {
    /// The manual's source with `\-` read as `-`.
    private func manual() throws -> String {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let page = try String(contentsOf: root.appending(path: "man/pail.1"), encoding: .utf8)
        return page.replacing(#"\-"#, with: "-")
    }

    private func longOptions(_ text: some StringProtocol) -> Set<String> {
        Set(String(text).matches(of: /--[a-z][a-z0-9-]*/).map { String($0.output) })
    }

    @Test func optionsAgree() throws {
        let help = [
            Pail.helpMessage(for: MountCommand.self, columns: 200),
            Pail.helpMessage(for: UnmountCommand.self, columns: 200),
            Pail.helpMessage(for: FlushCommand.self, columns: 200),
            Pail.helpMessage(for: PendingCommand.self, columns: 200),
            Pail.helpMessage(for: CacheCommand.Show.self, columns: 200),
            Pail.helpMessage(for: CacheCommand.Clear.self, columns: 200),
        ].joined()
        let page = try manual()
        #expect(longOptions(help).subtracting(longOptions(page)) == [], "missing in man/pail.1")
        #expect(longOptions(page).subtracting(longOptions(help)) == [], "man/pail.1 makes them up")
    }

    @Test func everyMountOptionHasItsEntry() throws {
        let page = try manual().split(separator: "\n")
        for name in OptionString.options.keys {
            let isEntry = zip(page, page.dropFirst()).contains { before, line in
                before == ".TP" && line.hasPrefix(".B") && longOptions(line).contains("--" + name)
            }
            #expect(isEntry, "--\(name) has no .TP entry")
        }
    }

    @Test func theOptionTableIsTheHelp() {
        let help = Pail.helpMessage(for: MountCommand.self, columns: 200)
        let table = Set(OptionString.options.keys.map { "--" + $0 })
        #expect(longOptions(help).subtracting(["--version", "--help"]) == table)
        for (name, shape) in OptionString.options {
            let takesValue = help.contains("--\(name) <")
            #expect(takesValue == (shape == .value), "--\(name)")
        }
    }

    @Test func theVersionIsTheProgram() throws {
        #expect(try manual().contains("\"pail \(Version.current)\""))
    }

    @Test func everyExitStatusIsExplained() throws {
        let page = try manual()
        let section = try #require(page.split(separator: ".SH EXIT STATUS").last)
        for number in Int32(0)...255 where ExitStatus(rawValue: number) != nil {
            #expect(section.contains(".TP\n\(number)\n"), "\(number)")
        }
    }
}
