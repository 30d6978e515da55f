// A server and a network that break in the middle of things: the reader gets the right bytes or an
// errno, in bounded time, and never wrong bytes.

import Foundation
import Testing

extension Mount {
    @Suite struct Faults {
        let bucket: TestBucket
        let local: TemporaryDirectory

        init() throws {
            bucket = try TestBucket()
            local = try TemporaryDirectory("local")
            try (local / "file").writeRandom(bytes: 40 << 20)
            try bucket.put("file", file: local / "file")
            for number in 0..<40 { try (local / "s\(number)").writeRandom(bytes: 50_000 + number) }
            try shell("mkdir \"$1/small\" && mv \"$1\"/s[0-9]* \"$1/small\"", local.path)
            try bucket.put(tree: local / "small", under: "small/")
        }

        @Test(arguments: [
            ["error-503 300"], ["cut 100"], ["truncate 300"],
            ["error-503 150", "cut 50", "truncate 100", "rtt 5"],
        ])
        func `503s, cuts and short bodies in mid-stream give the right bytes`(
            faults: [String]
        ) throws {
            // The mount itself goes in peace; the faults begin with the reading.
            let relay = try FaultRelay(to: bucket.url)
            let pail = try MountedPail(bucket, url: relay.url, "--no-cache")
            for fault in faults { try relay.tell(fault) }
            try must("cmp", pail / "file", local / "file", limit: 120)
            try must("diff", "-r", pail / "small", local / "small", limit: 120)
            let answer = try relay.tell("stats")
            let counts = answer.matches(of: /(cut|errors|truncated)=(\d+)/).compactMap { Int($0.2) }
            #expect(counts.reduce(0, +) > 0, "no fault happened: \(answer)")
        }

        @Test func `a server stopped and started in mid-read is waited for`() throws {
            let relay = try FaultRelay(to: bucket.url, ["--rate", "8"])
            let pail = try MountedPail(
                bucket, url: relay.url, "--no-cache", "--max-connections", "2")
            let reading = try RunningProgram(["cmp", pail / "file", local / "file"])
            usleep(500_000)
            try relay.tell("stop")
            usleep(3_000_000)
            #expect(reading.isRunning)
            try relay.tell("go")
            let outcome = reading.wait(limit: 60)
            #expect(outcome.status == 0 && !outcome.isOverdue, "\(outcome.errors)")
        }

        @Test func `what is in memory answers while the server is away`() throws {
            let relay = try FaultRelay(to: bucket.url)
            let pail = try MountedPail(bucket, url: relay.url, "--metadata-ttl", "forever")
            try must("ls", "-l", pail / "small")
            try relay.tell("stop")
            let reading = try RunningProgram(["cat", pail / "file"])
            try must("stat", pail / "small/s1", limit: 2)
            try must("ls", "-l", pail / "small", limit: 2)
            reading.signal(SIGKILL)
            #expect(!reading.wait(limit: 5).isOverdue, "a killed reader must not hang")
            try relay.tell("go")
        }

        @Test func `a far link is read in parallel`() throws {
            // One connection of 4 MiB/s would take ten seconds.
            let relay = try FaultRelay(to: bucket.url, ["--rtt", "30", "--rate", "4"])
            let pail = try MountedPail(bucket, url: relay.url, "--no-cache")
            let start = Date()
            try must("cmp", pail / "file", local / "file")
            #expect(Date().timeIntervalSince(start) < 8)
        }
    }
}
