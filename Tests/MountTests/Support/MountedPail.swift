// A mounted directory: pail in the foreground as a child of the test, its log collected, unmounted
// and ended when the test lets go of it.

import Foundation
import Testing

final class MountedPail {
    let mountpoint: String
    let program: RunningProgram
    private let directory: TemporaryDirectory
    /// Shared by a second mount of the same test where that is wanted.
    let cache: TemporaryDirectory

    /// Mounts a bucket and waits until the directory answers.
    /// - Parameters:
    ///   - path: the BasePath, such as "/assets".
    ///   - url: another address of the server, such as a relay's.
    ///   - user: credentials as environment variables; the three-permission user when nil.
    ///   - writable: mounts read-write, as the bucket's owner when `user` is nil.
    init(
        _ bucket: TestBucket, path: String = "", url: String? = nil,
        user: [String: String]? = nil, writable: Bool = false, cache: TemporaryDirectory? = nil,
        _ options: String...,
        at location: SourceLocation = #_sourceLocation
    ) throws {
        directory = try TemporaryDirectory("mount")
        self.cache = try cache ?? TemporaryDirectory("cache")
        mountpoint = try directory.makeDirectory("mnt")
        let source = path.isEmpty ? bucket.name : "\(bucket.name):\(path)"
        var words = [
            Project.program("pail"), "mount", source, mountpoint, "--foreground", "--path-style",
            "--endpoint-url", url ?? bucket.url,
        ]
        // An option given by the test stands in for the one given here.
        if !options.contains("--cache-dir") && !options.contains("--no-cache") {
            words += ["--cache-dir", self.cache.path]
        }
        if !writable { words.append("--read-only") }
        if !options.contains("--region") { words += ["--region", "us-east-1"] }
        program = try RunningProgram(
            words + options, environment: user ?? (writable ? Server.owner() : Server.reader()))
        let program = self.program
        let point = mountpoint
        let isMounted = eventually(within: 30) {
            !program.isRunning || mountPoints(under: point).contains(point)
        }
        try #require(
            isMounted && program.isRunning, "pail did not mount: \(log.suffix(2000))",
            sourceLocation: location)
    }

    // Whether it ends in time on a signal is a test of its own; here it only must not linger.
    deinit { _ = stop(limit: 3) }

    static func / (pail: MountedPail, path: String) -> String { "\(pail.mountpoint)/\(path)" }

    /// What pail wrote to standard error so far.
    var log: String { program.errors }

    /// Asks pail to end, as a service manager does. Returns how it ended.
    @discardableResult
    func stop(signal: Int32 = SIGTERM, limit: Double = 20) -> Outcome {
        if program.isRunning { kill(program.processID, signal) }
        let outcome = program.wait(limit: limit)
        detach()
        return outcome
    }

    /// Ends pail as a crash does, and clears the dead mount.
    func crash() {
        kill(program.processID, SIGKILL)
        _ = program.wait(limit: 20)
        detach()
    }

    private func detach() {
        for point in mountPoints(under: mountpoint) {
            if umount2(point, Int32(MNT_DETACH)) != 0 {
                _ = try? run("fusermount3", "-u", "-z", "-q", point, limit: 10)
            }
        }
    }

    /// The largest resident size so far, in KiB.
    func peakMemory() throws -> Int {
        let status = try String(
            contentsOfFile: "/proc/\(program.processID)/status", encoding: .utf8)
        let found = try #require(status.firstMatch(of: /VmHWM:\s+(\d+)/))
        return try #require(Int(found.1))
    }

    /// Makes the kernel forget what it keeps of the files, so that the next read asks pail.
    /// Only root may; else the test cannot tell the caches apart, and says so.
    static func dropPageCache() throws {
        try #require(geteuid() == 0, "this test drops the page cache, which only root may do")
        sync()
        try "/proc/sys/vm/drop_caches".write(text: "1")
    }
}

/// Runs a word of Support/reader.py, the programs that read through the mount.
@discardableResult
func reader(
    _ words: String..., limit: Double = 60, at location: SourceLocation = #_sourceLocation
) throws -> Outcome {
    let outcome = try RunningProgram(["python3", Project.reader] + words).wait(limit: limit)
    try #require(
        outcome.status == 0 && !outcome.isOverdue,
        "reader.py \(words.joined(separator: " ")): status \(outcome.status) \(outcome.errors)",
        sourceLocation: location)
    return outcome
}
