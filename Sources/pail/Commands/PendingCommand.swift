// `pail pending`

import ArgumentParser
import Control
import Foundation
import Glibc

/// Shows the files that are not in the bucket yet, and lets the operator decide about them.
struct PendingCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pending",
        abstract: "Show the files that are not in the bucket yet, and decide about them.",
        discussion: """
            Without names, --retry and --save take all that failed; --discard takes names, or --all.
            """)

    @Flag(help: "Show as JSON.")
    var json = false

    @Flag(help: "Upload them now.")
    var retry = false

    @Option(
        help: ArgumentHelp(
            "Copy their content below a local directory; nothing is overwritten.",
            valueName: "directory"))
    var save: String?

    @Flag(help: "Give up what was written to them; asks first.")
    var discard = false

    @Flag(help: "All that are not in the bucket, also those that only wait.")
    var all = false

    @Flag(help: "Do not ask.")
    var yes = false

    @Argument(help: "The directory that was mounted.")
    var mountpoint: String

    @Argument(help: "Files on it, as the list shows them or as paths.")
    var files: [String] = []

    /// Shows, or does what is asked for.
    func act() throws(CommandFailure) {
        let actions = [
            retry ? "--retry" : nil, save.map { _ in "--save" }, discard ? "--discard" : nil,
        ].compactMap { $0 }
        if actions.count > 1 {
            throw CommandFailure(
                "\(actions[0]) and \(actions[1]) exclude each other; give one of them", .usage)
        }
        if all, !files.isEmpty {
            throw CommandFailure("--all and names exclude each other", .usage)
        }
        if discard, !all, files.isEmpty {
            throw CommandFailure("--discard takes the names of files, or --all", .usage)
        }
        let call = try ControlCall(mountpoint)
        let chosen = try choose(try list(call), call)
        if retry { return try each(chosen, call, "retry", nil) }
        if let save { return try each(chosen, call, "save", try directory(save, call)) }
        if discard {
            try confirm(chosen)
            return try each(chosen, call, "discard", nil)
        }
        if json {
            Standard.output(try PendingReport.json(chosen))
        } else {
            for line in PendingReport.lines(chosen) { Standard.output(line) }
        }
    }

    private func list(_ call: ControlCall) throws(CommandFailure) -> [ControlFile] {
        var files: [ControlFile] = []
        while true {
            var request = call.request("pending")
            request.skip = files.count
            let answer = try call.ask(request)
            guard answer.kind == .done else {
                throw CommandFailure(
                    Escaping.line(answer.problems?.first ?? "the daemon refuses"), .software)
            }
            files += answer.files ?? []
            guard answer.hasMore == true, answer.files?.isEmpty == false else { return files }
        }
    }

    /// The files that are meant, each name once at least.
    private func choose(
        _ listed: [ControlFile], _ call: ControlCall
    ) throws(CommandFailure) -> [ControlFile] {
        if files.isEmpty {
            let isAction = retry || save != nil
            return isAction && !all ? listed.filter { $0.problem != nil } : listed
        }
        var chosen: [ControlFile] = []
        for name in files {
            let found = listed.filter { PendingReport.isMeant($0, by: name, on: call.mountpoint) }
            guard !found.isEmpty else {
                throw CommandFailure("\(Escaping.line(name)) is not pending", .noInput)
            }
            chosen += found.filter { !chosen.contains($0) }
        }
        return chosen
    }

    /// Acts on one file after the other; what fails is said, and the rest goes on.
    private func each(
        _ files: [ControlFile], _ call: ControlCall, _ command: String, _ directory: String?
    ) throws(CommandFailure) {
        var failed = 0
        for file in files {
            var request = call.request(command)
            request.directory = directory
            request.file = file
            // An upload may take its time.
            let answer = try call.ask(request, patience: 24 * 3600)
            guard answer.kind == .failed else { continue }
            failed += 1
            Standard.error(
                "pail: \(PendingReport.name(file)): "
                    + Escaping.line(answer.problems?.first ?? "not done"))
        }
        guard failed > 0 else {
            let words = ["retry": "uploaded", "save": "saved", "discard": "discarded"]
            Standard.output("\(files.count) \(words[command] ?? command)")
            return
        }
        throw CommandFailure("\(failed) of \(files.count) files: --\(command) failed", .temporary)
    }

    private func directory(_ path: String, _ call: ControlCall) throws(CommandFailure) -> String {
        guard let real = unsafe realpath(Surroundings.current().absolute(path), nil) else {
            throw CommandFailure(
                "cannot save to \(Escaping.line(path)): \(Text.of(errno: errno))", .cannotCreate)
        }
        defer { unsafe free(real) }
        let directory = unsafe String(cString: real)
        guard directory != call.mountpoint, !directory.hasPrefix(call.mountpoint + "/") else {
            throw CommandFailure(
                "\(Escaping.line(path)) is on the mount itself; name a local directory", .usage)
        }
        return directory
    }

    private func confirm(_ files: [ControlFile]) throws(CommandFailure) {
        guard !yes, !files.isEmpty else { return }
        guard isatty(STDIN_FILENO) == 1 else {
            throw CommandFailure("--discard asks on a terminal; say --yes elsewhere", .usage)
        }
        for line in PendingReport.lines(files) { Standard.output(line) }
        Standard.text("Give up what was written to them? [y/N] ", to: STDOUT_FILENO)
        guard ["y", "yes"].contains((readLine() ?? "").lowercased()) else {
            throw CommandFailure("nothing was discarded", .temporary)
        }
    }
}

/// What `pail pending` prints.
enum PendingReport {
    /// The path for people: bytes that are no UTF-8 show as U+FFFD.
    static func name(_ file: ControlFile) -> String {
        Escaping.line(String(decoding: file.path, as: UTF8.self))
    }

    /// True when `name` is the file's path, below the mountpoint or absolute, or what the list shows.
    static func isMeant(_ file: ControlFile, by name: String, on mountpoint: String) -> Bool {
        let prefix = mountpoint + "/"
        let path = name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name
        return Array(path.utf8) == file.path || path == self.name(file)
    }

    /// A table with a line for each file.
    static func lines(_ files: [ControlFile]) -> [String] {
        guard !files.isEmpty else { return ["nothing is pending"] }
        let rows =
            [["SIZE", "STATE", "SINCE", "FILE"]]
            + files.map { file in
                [
                    ByteSize.approximate(file.size), file.state, file.since.map(time) ?? "-",
                    name(file) + (file.problem.map { ": " + Escaping.line($0) } ?? ""),
                ]
            }
        let widths = (0..<3).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            (0..<3).map { column in
                row[column] + String(repeating: " ", count: widths[column] - row[column].count)
            }.joined(separator: "  ") + "  " + row[3]
        }
    }

    /// An array of objects, in one line.
    static func json(_ files: [ControlFile]) throws(CommandFailure) -> String {
        struct Entry: Encodable {
            var path: String
            var size: Int64
            var state: String
            var error: String?
            var since: String?
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let entries = files.map { file in
            Entry(
                path: String(decoding: file.path, as: UTF8.self), size: file.size,
                state: file.state, error: file.problem, since: file.since.map(time))
        }
        do { return String(decoding: try encoder.encode(entries), as: UTF8.self) } catch {
            throw CommandFailure("the list cannot be written as JSON", .software)
        }
    }

    /// UTC, as 2026-11-21T10:40:00Z.
    static func time(_ seconds: Double) -> String {
        var time = time_t(seconds)
        var parts = unsafe tm()
        var text = [CChar](repeating: 0, count: 32)
        unsafe gmtime_r(&time, &parts)
        let count = unsafe strftime(&text, text.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
        return String(decoding: text.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
