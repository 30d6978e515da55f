// The daemon's memory is a budget.

import Foundation
import Testing

extension Mount {
    @Suite struct Limits {
        @Test func `64 MiB of memory are enough for 32 readers at once`() throws {
            let bucket = try TestBucket()
            let local = try TemporaryDirectory("local")
            for number in 0..<8 { try (local / "f\(number)").writeRandom(bytes: 24 << 20) }
            try bucket.put(tree: local.path)
            let pail = try MountedPail(bucket, "--memory-limit", "64MiB")
            let pairs = (0..<8).flatMap { [pail / "f\($0)", local / "f\($0)"] }
            let words = ["python3", Project.reader, "parallel", "32"] + pairs
            let outcome = try RunningProgram(words).wait(limit: 150)
            #expect(outcome.status == 0 && !outcome.isOverdue, "\(outcome.errors)")
            let peak = try pail.peakMemory()
            #expect(peak < 128 << 10, "\(peak) KiB")
        }

        @Test func `a walk over many names does not let the daemon grow`() throws {
            let bucket = try TestBucket()
            var objects: [[UInt8]: String] = [:]
            for number in 0..<6000 { objects[Array("d\(number % 60)/name\(number)".utf8)] = "" }
            try bucket.put(objects)
            let pail = try MountedPail(bucket, "--metadata-ttl", "1s")
            #expect(try must("find", pail.mountpoint, "-type", "f").lines.count == 6000)
            let before = try pail.peakMemory()
            for _ in 0..<4 {
                usleep(1_100_000)
                #expect(try must("find", pail.mountpoint, "-type", "f").lines.count == 6000)
            }
            #expect(try pail.peakMemory() < before + (24 << 10))
        }
    }
}
