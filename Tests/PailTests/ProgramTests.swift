import Glibc
import Testing

@testable import pail

/// The program itself: for each thing that is wrong, one line on standard error, the right status,
/// and nothing on standard output. None of these reaches a server: what can be wrong there is the
/// mount tests' business.
@Suite struct ProgramTests {
    private static let pail: String = {
        let test = (try? linkTarget("/proc/self/exe")) ?? ""
        return test.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/pail"
    }()

    private static func linkTarget(_ path: String) throws -> String {
        let real = try #require(realpath(path, nil))
        defer { free(real) }
        return String(cString: real)
    }

    private struct Outcome {
        var status: Int32
        var output: String
        var errors: String
    }

    /// Runs the program with an environment of its own.
    private func run(
        _ arguments: [String], name: String = pail, _ environment: [String] = ["HOME=/nonexistent"]
    ) throws -> Outcome {
        let (output, errors) = (tmpfile(), tmpfile())
        defer {
            fclose(output)
            fclose(errors)
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, fileno(output), 1)
        posix_spawn_file_actions_adddup2(&actions, fileno(errors), 2)
        var argv = ([name] + arguments).map { strdup($0) } + [nil]
        var variables = environment.map { strdup($0) } + [nil]
        defer { for text in argv + variables { free(text) } }
        var child: pid_t = 0
        let error = posix_spawn(&child, Self.pail, &actions, nil, &argv, &variables)
        try #require(error == 0, "\(Self.pail): \(Text.of(errno: error))")
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        try #require(status & 0x7F == 0, "killed by signal \(status & 0x7F)")
        return Outcome(
            status: status >> 8 & 0xFF, output: text(output), errors: text(errors))
    }

    private func text(_ file: UnsafeMutablePointer<FILE>?) -> String {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        var offset = 0
        while case let count = pread(fileno(file), &chunk, chunk.count, offset), count > 0 {
            bytes += chunk[..<count]
            offset += count
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test(
        arguments: [
            (["mount"], 64, "missing expected argument"),
            (["mount", "bucket"], 64, "mountpoint"),
            (["mount", "bucket/path", "/m"], 64, "write bucket:/path"),
            (["mount", "Bucket", "/m"], 64, "did you mean 'bucket'"),
            (["mount", "bucket", "/m", "--cache-size", "12x"], 64, "512MiB"),
            (["mount", "bucket", "/m", "--regoin", "x"], 64, "--region"),
            (["mount", "bucket", "/m", "--read-write"], 64, "is not needed"),
            (["mount", "bucket", "/m", "-o", "cache_sze=1G"], 64, "cache_size"),
            (["mount", "bucket", "/m\u{1B}[31m", "--uid", "x\ny"], 64, "x\\ny"),
            (["unmont", "/m"], 64, "pail unmount"),
            (["bucket:/x", "/m", "-o", "nonsense"], 1, "nonsense"),
            (["mount", "bucket", "/nonexistent/mnt"], 66, "mkdir -p /nonexistent/mnt"),
            (["mount", "bucket", "/nonexistent/mnt", "--foreground"], 66, "mkdir -p"),
            (["bucket:/x", "/nonexistent/mnt", "-o", "ro"], 32, "mkdir -p"),
            (["mount", "bucket", "/etc/passwd"], 66, "not a directory"),
            (["mount", "bucket", "/etc"], 66, "not empty"),
            (
                ["mount", "bucket", "/mnt", "--log-file", "/nonexistent/log"], 73,
                "/nonexistent/log"
            ),
            (["unmount", "/nonexistent/mnt"], 66, "/nonexistent/mnt"),
            (["unmount", "/proc"], 64, "type proc"),
            (["flush", "/nonexistent/mnt"], 66, "does not exist"),
            (["flush", "/proc"], 66, "/proc is not a pail mount"),
            (["flush", "/tmp", "--timeout", "5"], 64, "write 5s"),
            (["pending", "/tmp"], 66, "/tmp is not a pail mount"),
            (["pending", "/tmp", "--retry", "--discard", "--all"], 64, "exclude each other"),
            (["pending", "/tmp", "--discard"], 64, "names of files, or --all"),
            (["cache", "show", "extra"], 64, "extra"),
            (["cache", "show", "--cache-dir", "/etc/passwd"], 74, "/etc/passwd"),
        ] as [([String], Int32, String)])
    func oneLineForEachMistake(_ arguments: [String], _ status: Int32, _ words: String) throws {
        let outcome = try run(arguments)
        #expect(outcome.status == status, "\(outcome)")
        #expect(outcome.errors.hasPrefix("pail: ") && outcome.errors.hasSuffix("\n"), "\(outcome)")
        #expect(outcome.errors.count { $0 == "\n" } == 1, "\(outcome)")
        #expect(outcome.errors.contains(words), "\(outcome)")
        #expect(outcome.output == "")
    }

    @Test func helpAndVersion() throws {
        #expect(try run(["--version"]).output == "pail \(Version.current)\n")
        for arguments in [
            ["help", "mount"], ["mount", "--help"], ["unmount", "-h"], ["--help"], [],
        ] {
            let outcome = try run(arguments)
            #expect(outcome.status == 0 && outcome.errors == "", "\(arguments)")
            #expect(outcome.output.contains("USAGE: pail"), "\(arguments)")
        }
    }

    @Test func calledByMount() throws {
        let fake = try run(
            ["bucket:/x", "/m", "-f", "-o", "rw,noauto,_netdev"], name: "/sbin/mount.fuse.pail")
        #expect(fake.status == 0 && fake.errors == "", "\(fake)")
        let wrong = try run(["bucket:/x", "/m", "-o", "nonsense"], name: "mount.fuse.pail")
        #expect(wrong.status == 1)
        let sloppy = try run(["bucket:/x", "/m", "-sf", "-o", "nonsense"], name: "mount.fuse.pail")
        #expect(sloppy.status == 0, "\(sloppy)")
    }

    @Test func theBackgroundProcessIsSilent() throws {
        // A status pipe that is none is not believed.
        let outcome = try run(
            ["mount", "bucket", "/nonexistent/mnt"], ["HOME=/nonexistent", "PAIL_STATUS_FD=1"])
        #expect(outcome.status == 66 && outcome.output == "", "\(outcome)")
        #expect(outcome.errors.count { $0 == "\n" } == 1)
    }

    @Test func anEmptyCache() throws {
        let outcome = try run(["cache", "show", "--cache-dir", "/nonexistent/cache"])
        #expect(outcome.status == 0 && outcome.output.contains("0 objects"), "\(outcome)")
        let cleared = try run(["cache", "clear", "--cache-dir", "/nonexistent/cache"])
        #expect(cleared.status == 0 && cleared.output.contains("0 objects"), "\(cleared)")
        #expect(access("/nonexistent/cache", F_OK) != 0)
    }

    @Test func withoutAServer() throws {
        let mountpoint = "/tmp/pail-program-test-\(getpid())"
        try #require(mkdir(mountpoint, 0o700) == 0)
        defer { rmdir(mountpoint) }
        let keys = [
            "HOME=/nonexistent", "AWS_ACCESS_KEY_ID=AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY=s3cr3t",
        ]
        let options = ["--endpoint-url", "http://127.0.0.1:1", "--no-cache"]
        for extra in [[], ["--foreground"]] {
            let outcome = try run(["mount", "bucket", mountpoint] + options + extra, keys)
            #expect(outcome.status == 69 && outcome.errors.contains("127.0.0.1:1"), "\(outcome)")
            #expect(outcome.errors.count { $0 == "\n" } == 1, "\(outcome)")
            #expect(!outcome.errors.contains("s3cr3t"))
        }
        let nobody = try run(["mount", "bucket", mountpoint] + options)
        #expect(nobody.status == 77 && nobody.errors.contains("credentials"), "\(nobody)")
        let noFile = try run(
            ["mount", "bucket", mountpoint, "--credentials-csv", "/nonexistent/k.csv"] + options)
        #expect(noFile.status == 78, "\(noFile)")
    }
}
