// The staging area against a model in memory, across lives and deaths of processes, and on a full disk.

import BlockStore
import Foundation
import GRDB
import Testing

@Suite(.serialized) struct StagingTests {
    private func open(
        _ cache: TestCache, limit: Int64 = 1 << 30, keepFree: Int64 = 0, basePath: String = "base/"
    ) throws -> DiskStaging {
        try DiskStaging(
            directory: cache.path, store: "https://s3.test/hammer", basePath: basePath,
            limit: limit, keepFree: keepFree, logger: cache.logger)
    }

    private func start(_ arguments: [String]) throws -> (Process, Pipe, Pipe) {
        let process = Process()
        process.executableURL = ProcessTests.hammer
        process.arguments = arguments
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        return (process, input, output)
    }

    private func read(_ file: any StagedFile, at offset: Int, count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: count)
        try bytes.withUnsafeMutableBytes { try file.read(at: Int64(offset), into: $0) }
        return bytes
    }

    private func folders(_ cache: TestCache) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: cache.path + "/staged")) ?? [])
            .sorted()
    }

    @Test func aFileHoldsWhatAModelHolds() throws {
        let seed = UInt64.random(in: 0...1_000_000)
        var random = Seeded(seed)
        let cache = TestCache()
        let staging = try open(cache)
        let file = try staging.makeFile()
        var model: [UInt8] = []
        for step in 0..<600 {
            let from = Int.random(in: 0..<300_000, using: &random)
            let count = Int.random(in: 0..<50_000, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0, 1, 2:
                let bytes = [UInt8](
                    repeating: UInt8.random(in: 1...255, using: &random), count: count)
                try bytes.withUnsafeBytes { try file.write($0, at: Int64(from)) }
                if count > 0, model.count < from + count {
                    model += [UInt8](repeating: 0, count: from + count - model.count)
                }
                model.replaceSubrange(
                    min(from, model.count)..<min(from + count, model.count), with: bytes)
            case 3:
                file.punch(Int64(from)..<Int64(from + count))
                for place in from..<max(from, min(from + count, model.count)) { model[place] = 0 }
            case 4:
                try file.truncate(to: Int64(from))
                model = Array(model.prefix(from))
                model += [UInt8](repeating: 0, count: from - model.count)
            default:
                let wanted = (from..<from + count).map { $0 < model.count ? model[$0] : 0 }
                let right = try read(file, at: from, count: count) == wanted
                try #require(right, "seed \(seed) step \(step)")
            }
        }
        file.remove()
        #expect(staging.file(named: file.name) == nil)
        let right = try read(file, at: 0, count: model.count) == model
        #expect(right, "seed \(seed): a removed file can still be read")
        staging.close()
        #expect(folders(cache) == [])
    }

    @Test func theJournalHoldsWhatAModelHoldsAlsoWhenReopened() throws {
        let seed = UInt64.random(in: 0...1_000_000)
        var random = Seeded(seed)
        let cache = TestCache()
        var model: [Int64: [UInt8]] = [:]
        var last: Int64 = 0
        for _ in 0..<5 {
            let staging = try open(cache)
            for _ in 0..<60 {
                let record = (0..<Int.random(in: 0..<200, using: &random)).map { UInt8($0 & 255) }
                let known = model.keys.sorted().randomElement(using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0:
                    guard let known else { continue }
                    try staging.journal.remove(known)
                    model[known] = nil
                case 1:
                    guard let known else { continue }
                    #expect(try staging.journal.put(record, id: known, durable: false) == known)
                    model[known] = record
                default:
                    let id = try staging.journal.put(
                        record, id: nil, durable: Bool.random(using: &random))
                    #expect(id > last, "seed \(seed): a number was used again")
                    last = id
                    model[id] = record
                }
            }
            let all = try staging.journal.records()
            #expect(all.map(\.id) == model.keys.sorted(), "seed \(seed)")
            for (id, record) in all { #expect(record == model[id], "seed \(seed)") }
            staging.close()
        }
    }

    @Test func everyAcknowledgedRecordOutlivesAKill() throws {
        let cache = TestCache()
        let (process, _, output) = try start(["stage-puts", cache.path])
        var text = Data()
        while text.count(where: { $0 == 10 }) < 200 {
            let more = output.fileHandleForReading.availableData
            try #require(!more.isEmpty)
            text += more
        }
        kill(process.processIdentifier, SIGKILL)
        text += output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let told = String(decoding: text, as: UTF8.self).split(separator: "\n").compactMap {
            UInt64($0)
        }
        let staging = try open(cache)
        var found: Set<UInt64> = []
        for (_, record) in try staging.journal.records() {
            let number = record.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
            #expect(record.count == 8 * (1 + Int(number % 50)), "torn")
            found.insert(number)
        }
        #expect(told.count >= 200 && found.isSuperset(of: told))
    }

    @Test func filesOfTheDeadAreTakenOverAndThoseOfTheLivingAreNot() throws {
        let cache = TestCache()
        var dead: [Int32] = []
        let children = try (0..<3).map { _ in try start(["stage-hold", cache.path]) }
        for (_, _, output) in children { _ = output.fileHandleForReading.availableData }
        #expect(folders(cache).count == 3, "each has its own")
        let other = try open(cache, basePath: "other/")
        #expect(try other.journal.records().isEmpty)
        for (process, input, _) in children.prefix(2) {
            try input.fileHandleForWriting.close()
            process.waitUntilExit()
            dead.append(process.processIdentifier)
        }
        let staging = try open(cache)
        #expect(folders(cache).count == 3, "ours, the living one's, the other source's")
        let orphan = try staging.makeFile()
        var texts: Set<String> = []
        var names: Set<String> = []
        for (_, record) in try staging.journal.records() {
            let name = String(decoding: record, as: UTF8.self)
            names.insert(name)
            let file = try #require(staging.file(named: name))
            let bytes = try read(file, at: 0, count: 40).prefix { $0 != 0 }
            texts.insert(String(decoding: bytes, as: UTF8.self))
        }
        #expect(texts == Set(dead.map { "left \($0)" }))
        staging.removeOrphans(keeping: names)
        #expect(staging.file(named: orphan.name) == nil)
        for name in names { #expect(staging.file(named: name) != nil) }
        staging.close()
        #expect(folders(cache).count == 3, "what has records stays")
        try children[2].1.fileHandleForWriting.close()
        children[2].0.waitUntilExit()
        other.close()
        #expect(folders(cache).count == 2)
        #expect(cache.log.withLock { $0 } == [])
    }

    @Test func aDamagedJournalIsSetAsideWithItsFiles() throws {
        let cache = TestCache()
        let (process, input, output) = try start(["stage-hold", cache.path])
        _ = output.fileHandleForReading.availableData
        try input.fileHandleForWriting.close()
        process.waitUntilExit()
        let id = try #require(folders(cache).first)
        let folder = cache.path + "/staged/" + id
        try? FileManager.default.removeItem(atPath: folder + "/journal.sqlite-wal")
        try Data(repeating: 0x55, count: 8192).write(to: URL(filePath: folder + "/journal.sqlite"))
        let staging = try open(cache)
        #expect(try staging.journal.records().isEmpty)
        #expect(folders(cache).contains(id + ".damaged"))
        let kept = try FileManager.default.contentsOfDirectory(atPath: folder + ".damaged")
        #expect(kept.contains { $0.hasPrefix("f-") })
        #expect(
            cache.log.withLock { $0.filter { $0.contains("journal.sqlite is damaged") }.count } == 1
        )
        staging.close()
    }

    @Test func claimsKeepTheLimitAndTheFreeSpace() throws {
        let cache = TestCache()
        let staging = try open(cache, limit: 100)
        let called = Counter()
        #expect(staging.claim(60) && staging.claim(40) && !staging.claim(1))
        staging.whenReleased { called.add() }
        #expect(called.value == 0)
        staging.release(30)
        #expect(called.value == 1)
        staging.whenReleased { called.add() }
        #expect(called.value == 2, "released since the last refusal")
        #expect(staging.claim(30) && !staging.claim(1))
        staging.whenReleased { called.add() }
        #expect(called.value == 2)
        staging.release(100)
        #expect(called.value == 3 && staging.usage == (0, 100))
        staging.close()
        let full = try open(cache, keepFree: 1 << 60)
        #expect(!full.claim(1))
        full.close()
    }

    @Test(.enabled(if: geteuid() == 0)) func aFullDiskIsSaidAndLosesNothing() throws {
        let cache = TestCache()
        try FileManager.default.createDirectory(
            atPath: cache.path, withIntermediateDirectories: true)
        try #require(shell("mount -t tmpfs -o size=4m none \(cache.path)") == 0)
        defer { _ = shell("umount -l \(cache.path)") }
        let staging = try open(cache)
        try staging.journal.put([1, 2, 3], id: nil, durable: true)
        let file = try staging.makeFile()
        let piece = [UInt8](repeating: 9, count: 1 << 20)
        #expect(throws: StagingError.full) {
            for number in 0..<8 {
                try piece.withUnsafeBytes { try file.write($0, at: Int64(number) << 20) }
            }
        }
        #expect(try read(file, at: 0, count: 1 << 20) == piece)
        #expect(throws: StagingError.full) {
            for _ in 0..<64 { try staging.journal.put(piece, id: nil, durable: true) }
        }
        #expect(try staging.journal.records().first?.record == [1, 2, 3])
        file.punch(0..<(2 << 20))
        try staging.journal.put([4], id: nil, durable: true)
        #expect(try staging.journal.records().last?.record == [4])
        staging.close()
    }
}

final class Counter: @unchecked Sendable {
    private let lock = NSLock()
    private var count = 0
    func add() { lock.withLock { count += 1 } }
    var value: Int { lock.withLock { count } }
}
