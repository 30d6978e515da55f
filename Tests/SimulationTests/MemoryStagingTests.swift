import BlockStore
import Simulation
import Synchronization
import Testing

/// What the staging area in memory keeps, and what crashes take.
struct MemoryStagingTests {
    let scheduler = SimulatedScheduler(seed: 1)

    private func staging(_ points: CrashPoints = CrashPoints(), seed: UInt64) -> MemoryStaging {
        MemoryStaging(scheduler: scheduler, limit: 1 << 20, points: points, seed: seed)
    }

    private func bytes(_ file: any StagedFile, _ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0xAA, count: count)
        try bytes.withUnsafeMutableBytes { try file.read(at: 0, into: $0) }
        return bytes
    }

    private func write(_ file: any StagedFile, _ bytes: [UInt8], at offset: Int64 = 0) throws {
        try bytes.withUnsafeBytes { try file.write($0, at: offset) }
    }

    @Test func filesAreSparseAndPunched() throws {
        let file = try staging(seed: 1).makeFile()
        try write(file, [1, 2, 3], at: 5000)
        #expect(try bytes(file, 5004) == [UInt8](repeating: 0, count: 5000) + [1, 2, 3, 0])
        try write(file, [UInt8](repeating: 9, count: 9000))
        file.punch(10..<8990)
        try file.truncate(to: 8995)
        try file.truncate(to: 9000)
        let nines = [UInt8](repeating: 9, count: 10)
        let expected = nines + [UInt8](repeating: 0, count: 8980) + nines[..<5] + [0, 0, 0, 0, 0]
        #expect(try bytes(file, 9000) == expected)
    }

    @Test func killedProcessLosesNothing() throws {
        let first = staging(seed: 1)
        let file = try first.makeFile()
        try write(file, [1, 2, 3])
        let id = try first.journal.put([7], id: nil, durable: false)
        let second = first.crash(
            powerLoss: false, scheduler: scheduler, points: CrashPoints())
        #expect(throws: StagingError.self) { try write(file, [9]) }
        #expect(throws: StagingError.self) { try first.journal.remove(id) }
        let survived = try #require(second.file(named: file.name))
        #expect(try bytes(survived, 3) == [1, 2, 3])
        #expect(try second.journal.records().map(\.record) == [[7]])
        #expect(try second.journal.put([8], id: nil, durable: false) > id)
    }

    @Test func powerLossTakesOnlyWhatWasNotSynchronized() throws {
        var seen: Set<[UInt8]> = []
        var lengths: Set<Int> = []
        for seed in 1...200 as ClosedRange<UInt64> {
            let first = staging(seed: seed)
            let file = try first.makeFile()
            try write(file, [UInt8](repeating: 1, count: 8192))
            try file.synchronize()
            try write(file, [UInt8](repeating: 2, count: 8192))
            let id = try first.journal.put([1], id: nil, durable: true)
            for record in 2...4 as ClosedRange<UInt8> {
                try first.journal.put([record], id: id, durable: false)
            }
            let second = first.crash(
                powerLoss: true, scheduler: scheduler, points: CrashPoints())
            let survived = try #require(second.file(named: file.name))
            let all = try bytes(survived, 8192)
            for page in [all[..<4096], all[4096...]] {
                #expect(Set(page).count == 1, "seed \(seed): torn within a page")
            }
            seen.insert([all[0], all[8191]])
            let records = try second.journal.records().map(\.record)
            #expect(records.count == 1)
            lengths.insert(Int(records.first?.first ?? 0))
        }
        #expect(seen == [[1, 1], [1, 2], [2, 1], [2, 2]])
        #expect(lengths == [1, 2, 3, 4])
    }

    @Test func roomIsGivenToWhoWaits() throws {
        let staging = staging(seed: 1)
        #expect(staging.claim(1 << 20))
        #expect(!staging.claim(1))
        let calls = Mutex(0)
        staging.whenReleased { calls.withLock { $0 += 1 } }
        scheduler.runUntilIdle()
        #expect(calls.withLock { $0 } == 0)
        staging.release(10)
        scheduler.runUntilIdle()
        #expect(calls.withLock { $0 } == 1)
        #expect(staging.claim(10) && !staging.claim(1))
    }

    @Test func worldStopsAtThePoint() throws {
        // Counts the points of a short life, then ends it at each of them.
        func live(_ points: CrashPoints) -> MemoryStaging {
            let staging = staging(points, seed: 3)
            do {
                let file = try staging.makeFile()
                try write(file, [1])
                try file.synchronize()
                try staging.journal.put([1], id: nil, durable: true)
                file.remove()
            } catch {}
            return staging
        }
        let whole = CrashPoints()
        _ = live(whole)
        #expect(whole.count == 5 && !whole.isDead)
        var records: [Int] = []
        for point in 1...whole.count {
            let points = CrashPoints(crashAt: point)
            let next = live(points).crash(
                powerLoss: false, scheduler: scheduler, points: CrashPoints())
            #expect(points.isDead && points.count == point)
            records.append(try next.journal.records().count)
            #expect(next.files.count == 1, "dead before the removal: \(points.place ?? "")")
        }
        #expect(records == [0, 0, 0, 1, 1])
    }
}
