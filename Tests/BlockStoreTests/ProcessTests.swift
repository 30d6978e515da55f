// Real processes on one directory: they never see wrong bytes, keep the limit together, and survive
// each other's death.

import BlockStore
import Foundation
import Testing

@Suite(.serialized) struct ProcessTests {
    /// The helper, built beside the tests.
    static var hammer: URL {
        let own = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        for path in CommandLine.arguments + [own ?? ""] {
            let folder = URL(filePath: path).deletingLastPathComponent()
            let built = folder.appending(path: "blockstore-hammer")
            if FileManager.default.isExecutableFile(atPath: built.path) { return built }
        }
        return URL(filePath: ".build/debug/blockstore-hammer")
    }

    private func start(_ arguments: [String]) throws -> (Process, Pipe, Pipe) {
        let process = Process()
        process.executableURL = Self.hammer
        process.arguments = arguments
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        return (process, input, output)
    }

    /// The objects are on a file system of their own: what it has in use is exact at any moment, and
    /// has files in it that were removed and are still open.
    @Test(.enabled(if: geteuid() == 0))
    func threeProcessesNeverSeeWrongBytesAndNeverExceedTheLimit() throws {
        let cache = TestCache()
        let limit: Int64 = 12 << 20
        let unmount = try cache.mountObjects(size: "64m")
        defer { unmount() }
        let seed = UInt64.random(in: 0...1_000_000)
        let workers = try (0..<3).map {
            try start(["work", cache.path, "\(limit)", "\(seed + UInt64($0))", "2"])
        }
        var most: Int64 = 0
        while workers.contains(where: { $0.0.isRunning }) {
            most = max(most, cache.objectsInUse)
            usleep(100)
        }
        var right = 0
        for (process, _, output) in workers {
            process.waitUntilExit()
            let data = output.fileHandleForReading.readDataToEndOfFile()
            let text = String(decoding: data, as: UTF8.self)
            #expect(process.terminationStatus == 0, "seed \(seed): \(text)")
            right += Int(text.split { !$0.isNumber }.last ?? "") ?? 0
        }
        #expect(right > 10, "seed \(seed): reads were served from the directory")
        #expect(most > limit / 2, "seed \(seed): the limit was near")
        #expect(most <= limit, "seed \(seed)")
        let summary = try DiskBlockStore.summary(directory: cache.path)
        #expect(summary.mounts == 0)
        #expect(summary.bytes >= cache.diskBytes, "seed \(seed): nothing unaccounted")
        #expect(cache.objectsInUse == cache.diskBytes, "seed \(seed): nothing without a name")
    }

    @Test func aProcessThatDiesDuringARunGivesItsClaimBack() throws {
        let cache = TestCache()
        let clock = JumpingScheduler(cache.scheduler)
        let store = try cache.store(limit: 4 << 20, clock: clock)
        defer { store.close() }
        // It claims a MiB and keeps what it wrote to itself.
        let (process, input, output) = try start(["hold", cache.path, "\(4 << 20)", "\(1 << 20)"])
        _ = output.fileHandleForReading.availableData
        #expect(try DiskBlockStore.summary(directory: cache.path).mounts == 2)
        try input.fileHandleForWriting.close()
        process.waitUntilExit()
        #expect(process.terminationReason == .uncaughtSignal)
        clock.jump(.seconds(11))
        for number in 0..<100 {
            let identity = Known.identity(number, size: 600_000)
            Known.put(try #require(store.open(identity)), identity, 0, 0..<37)
            store.synchronize()
            usleep(20_000)
            if cache.owners == 1 { break }
        }
        #expect(cache.owners == 1, "the dead owner is buried")
        #expect(cache.diskBytes <= 4 << 20)
        #expect(cache.log.withLock { $0 } == [])
    }

    @Test func anotherProcessesClaimDropsBlocksWithoutARest() throws {
        let cache = TestCache()
        // The other holds a claim of 1 MiB (the least) of a limit of 1.5 MiB, and idles.
        let (process, input, output) = try start(["hold", cache.path, "\(3 << 19)", "0"])
        _ = output.fileHandleForReading.availableData
        let store = try cache.store(limit: 3 << 19)
        let identity = Known.identity(1, size: 1 << 20)
        let object = try #require(store.open(identity))
        try cache.claim(bytes: 1 << 20, owner: { $0.hasPrefix("\(process.processIdentifier)-") })
        for _ in 0..<3 {
            Known.put(object, identity, 0, 0..<64)
            store.synchronize()
        }
        #expect(object.present(block: 0) == 0)
        try cache.claim(bytes: 0, owner: { $0.hasPrefix("\(process.processIdentifier)-") })
        // No rest of any length worth speaking of.
        for _ in 0..<50 where object.present(block: 0) != .max {
            Known.put(object, identity, 0, 0..<64)
            store.synchronize()
            usleep(20_000)
        }
        #expect(object.present(block: 0) == .max)
        #expect(cache.log.withLock { $0 } == [])
        store.close()
        try input.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}
