// Runs other programs under a time limit. Everything a test does on a mounted directory happens in
// such a child, so that a file operation that hangs costs a test its limit and never the whole run.

import Foundation
import Testing

/// How a program ended.
struct Outcome {
    /// The exit status; 128 + N after signal N.
    var status: Int32
    var output: Data
    var errors: String
    /// True when the limit was reached and the program was killed.
    var isOverdue: Bool

    /// Standard output as text, without the newline at its end.
    var text: String {
        String(decoding: output, as: UTF8.self).trimmingCharacters(in: .newlines)
    }
    var lines: [String] { text.isEmpty ? [] : text.components(separatedBy: "\n") }
}

/// A program that runs while the test goes on.
final class RunningProgram {
    let processID: pid_t
    let words: [String]
    private let directory: TemporaryDirectory
    private var outcome: Outcome?

    /// Starts the program in a process group of its own.
    /// - Parameter environment: added to the test's own; an empty value removes the name.
    init(_ words: [String], environment: [String: String] = [:]) throws {
        self.words = words
        directory = try TemporaryDirectory("run")
        var all = ProcessInfo.processInfo.environment
        for (name, value) in environment { all[name] = value.isEmpty ? nil : value }

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        let flags = O_WRONLY | O_CREAT | O_TRUNC
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, directory / "out", flags, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, directory / "err", flags, 0o600)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))

        let arguments = words.map { strdup($0) } + [nil]
        let variables = all.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in arguments + variables { free(text) } }
        var process: pid_t = 0
        let code = posix_spawnp(
            &process, words[0], &actions, &attributes, arguments, variables)
        try #require(code == 0, "cannot start \(words[0]): \(String(cString: strerror(code)))")
        processID = process
    }

    deinit {
        if outcome == nil {
            signal(SIGKILL)
            var status: Int32 = 0
            waitpid(processID, &status, 0)
        }
    }

    var isRunning: Bool { poll() == nil }

    /// Sends a signal to the program and its children.
    func signal(_ number: Int32) {
        if outcome == nil { kill(-processID, number) }
    }

    /// What the program wrote to standard error so far.
    var errors: String {
        String(
            decoding: FileManager.default.contents(atPath: directory / "err") ?? Data(),
            as: UTF8.self)
    }

    /// Waits for the end; after `limit` seconds the program is killed.
    func wait(limit: Double = 30) -> Outcome {
        let end = Date(timeIntervalSinceNow: limit)
        var isOverdue = false
        while true {
            if var outcome = poll() {
                outcome.isOverdue = isOverdue
                return outcome
            }
            if !isOverdue && Date() > end {
                isOverdue = true
                signal(SIGKILL)
            }
            usleep(2000)
        }
    }

    private func poll() -> Outcome? {
        if let outcome { return outcome }
        var status: Int32 = 0
        guard waitpid(processID, &status, WNOHANG) == processID else { return nil }
        let signal = status & 0x7f
        outcome = Outcome(
            status: signal == 0 ? (status >> 8) & 0xff : 128 + signal,
            output: FileManager.default.contents(atPath: directory / "out") ?? Data(),
            errors: errors, isOverdue: false)
        return outcome
    }
}

/// Runs a program to its end and reports how it ended.
func run(
    _ words: String..., environment: [String: String] = [:], limit: Double = 30
) throws -> Outcome {
    try RunningProgram(words, environment: environment).wait(limit: limit)
}

/// Runs a program that has to succeed; the test fails with what it said otherwise.
@discardableResult
func must(
    _ words: String..., environment: [String: String] = [:], limit: Double = 30,
    at location: SourceLocation = #_sourceLocation
) throws -> Outcome {
    let outcome = try RunningProgram(words, environment: environment).wait(limit: limit)
    try #require(
        outcome.status == 0 && !outcome.isOverdue,
        """
        \(words.joined(separator: " ").prefix(300)): status \(outcome.status)\
        \(outcome.isOverdue ? " (over its limit of \(limit) s)" : "")
        \(outcome.errors.suffix(1500))
        """, sourceLocation: location)
    return outcome
}

/// Runs a line of shell that has to succeed; `$1` and on are the arguments.
@discardableResult
func shell(
    _ script: String, _ arguments: String..., limit: Double = 60,
    at location: SourceLocation = #_sourceLocation
) throws -> Outcome {
    let words = ["bash", "-euo", "pipefail", "-c", script, "bash"] + arguments
    let outcome = try RunningProgram(words).wait(limit: limit)
    try #require(
        outcome.status == 0 && !outcome.isOverdue,
        """
        \(script): status \(outcome.status)\(outcome.isOverdue ? " (over its limit)" : "")
        \(outcome.errors.suffix(1500))
        """, sourceLocation: location)
    return outcome
}

/// Repeats a question until it is answered with yes; false after `limit` seconds.
func eventually(within limit: Double = 10, _ question: () throws -> Bool) rethrows -> Bool {
    let end = Date(timeIntervalSinceNow: limit)
    while Date() < end {
        if try question() { return true }
        usleep(20000)
    }
    return try question()
}
