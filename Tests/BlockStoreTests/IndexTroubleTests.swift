// An index that is busy, on a full disk, or gone while objects are in use; and its figures.

import BlockStore
import Foundation
import GRDB
import Synchronization
import Testing

@Suite(.serialized) struct IndexTroubleTests {
    private func complaints(_ cache: TestCache) -> Int {
        cache.log.withLock { $0.filter { $0.contains("index.sqlite:") }.count }
    }

    /// Caching rests after trouble with the index, and begins again when it is over.
    private func storesAgain(
        _ store: DiskBlockStore, _ clock: JumpingScheduler, _ identity: ObjectIdentity
    ) throws {
        clock.jump(.seconds(31))
        store.synchronize()
        let object = try #require(store.open(identity))
        Known.put(object, identity, 0, 0..<64)
        store.synchronize()
        #expect(Known.check(object, identity, 0, 0..<64) == .right)
    }

    @Test func anIndexThatAnotherKeepsLockedCostsCachingAndNoReads() throws {
        let cache = TestCache()
        let clock = JumpingScheduler(cache.scheduler)
        let store = try cache.store(clock: clock)
        let (first, second) = (Known.identity(1, size: 1 << 20), Known.identity(2, size: 1 << 20))
        let object = try #require(store.open(first))
        Known.put(object, first, 0, 0..<64)
        store.synchronize()
        var configuration = Configuration()
        configuration.allowsUnsafeTransactions = true
        let other = try DatabaseQueue(
            path: cache.path + "/index.sqlite", configuration: configuration)
        try other.inDatabase { try $0.execute(sql: "BEGIN IMMEDIATE") }
        #expect(Known.check(object, first, 0, 0..<64) == .right)
        // It waits its five seconds and gives up.
        store.synchronize()
        #expect(complaints(cache) == 1)
        #expect(Known.check(object, first, 0, 0..<64) == .right)
        let refused = try #require(store.open(second))
        Known.put(refused, second, 0, 0..<64)
        store.synchronize()
        #expect(refused.present(block: 0) == 0)
        #expect(complaints(cache) == 1)
        try other.inDatabase { try $0.execute(sql: "ROLLBACK") }
        try other.close()
        try storesAgain(store, clock, second)
        #expect(try DiskBlockStore.summary(directory: cache.path).objects == 2)
        store.close()
    }

    @Test(.enabled(if: geteuid() == 0)) func anIndexOnAFullDiskCostsCachingAndNoReads() throws {
        let cache = TestCache()
        let unmount = try cache.mount(size: "4m")
        defer { unmount() }
        let unmountObjects = try cache.mountObjects(size: "64m")
        defer { unmountObjects() }
        let clock = JumpingScheduler(cache.scheduler)
        let store = try cache.store(clock: clock)
        let first = Known.identity(1, size: 1 << 20)
        let object = try #require(store.open(first))
        Known.put(object, first, 0, 0..<64)
        store.synchronize()
        let hog = cache.path + "/hog"
        _ = shell("dd if=/dev/zero of=\(hog) bs=4k 2>/dev/null")
        // Its log grows until nothing is left of the last page.
        for number in 2..<40 where complaints(cache) == 0 {
            let identity = Known.identity(number, size: 20_000)
            Known.put(try #require(store.open(identity)), identity, 0, 0..<2)
            store.synchronize()
        }
        #expect(complaints(cache) == 1)
        #expect(Known.check(object, first, 0, 0..<64) == .right)
        unlink(hog)
        try storesAgain(store, clock, Known.identity(50, size: 1 << 20))
        #expect(try DiskBlockStore.summary(directory: cache.path).bytes == cache.diskBytes)
        store.close()
    }

    @Test func anIndexRemovedWhileObjectsAreInUseIsMadeAnew() throws {
        let seed = UInt64.random(in: 0...1_000_000)
        let cache = TestCache()
        let clock = JumpingScheduler(cache.scheduler)
        let store = try cache.store(clock: clock)
        let identities = (0..<8).map { Known.identity($0, size: Int64($0 + 1) * 300_000) }
        for identity in identities {
            Known.put(try #require(store.open(identity)), identity, 0, 0..<8)
        }
        store.synchronize()
        for suffix in ["", "-wal", "-shm"] { unlink(cache.path + "/index.sqlite" + suffix) }
        clock.jump(.seconds(11))
        let isOver = Atomic(false)
        let wrong = Atomic(0)
        let group = DispatchGroup()
        for thread in 0..<2 {
            DispatchQueue.global().async(group: group) {
                var random = Seeded(seed &+ UInt64(thread))
                while !isOver.load(ordering: .relaxed) {
                    let identity = identities[Int.random(in: 0..<8, using: &random)]
                    let from = Int.random(in: 0..<10, using: &random)
                    guard let object = store.open(identity) else { continue }
                    if Known.check(object, identity, 0, from..<from + 4) == .wrong {
                        wrong.add(1, ordering: .relaxed)
                    }
                    Known.put(object, identity, 0, from..<from + 4)
                    store.synchronize()
                }
            }
        }
        // Noticed by the next look at the index, at most a second after a use.
        for _ in 0..<1000
        where try !FileManager.default.fileExists(atPath: cache.path + "/index.sqlite")
            || DiskBlockStore.summary(directory: cache.path).objects < 8
        { usleep(10_000) }
        isOver.store(true, ordering: .relaxed)
        group.wait()
        store.synchronize()
        #expect(wrong.load(ordering: .relaxed) == 0, "seed \(seed)")
        let summary = try DiskBlockStore.summary(directory: cache.path)
        #expect(summary.objects == 8, "seed \(seed)")
        #expect(summary.bytes == cache.diskBytes, "seed \(seed)")
        #expect(summary.mounts == 1)
        store.close()
    }

    @Test func anIdleStoreSetsNoTimer() throws {
        let cache = TestCache()
        let timers = HeldTimers(cache.scheduler)
        let store = try DiskBlockStore(
            directory: cache.path, limit: 1 << 30, keepFree: 0, scheduler: timers,
            logger: cache.logger)
        #expect(timers.comeDue() == 0)
        let identity = Known.identity(1, size: 1 << 20)
        for _ in 0..<2 {
            let object = try #require(store.open(identity))
            Known.put(object, identity, 0, 0..<64)
            store.synchronize()
            #expect(Known.check(object, identity, 0, 0..<64) == .right)
            // One tells of the use, the next gives the claim back.
            var ticks = 0
            while ticks < 10, timers.comeDue() > 0 { ticks += 1 }
            #expect(1...3 ~= ticks)
            #expect(try cache.claims() == 0)
        }
        store.close()
    }

    @Test func whatTheIndexSaysIsWhatDuSays() throws {
        let seed = UInt64.random(in: 0...1_000_000)
        var random = Seeded(seed)
        let cache = TestCache()
        var store = try cache.store(limit: 8 << 20, openFiles: 4)
        for round in 0..<4 {
            for _ in 0..<40 {
                let number = Int.random(in: 0..<20, using: &random)
                let identity = Known.identity(number, size: Int64(number + 1) * 150_000)
                let last = Int((min(identity.size, 1 << 20) + 16383) >> 14)
                let from = Int.random(in: 0..<last, using: &random)
                let chunks = from..<Int.random(in: from + 1...last, using: &random)
                Known.put(try #require(store.open(identity)), identity, 0, chunks)
                store.synchronize()
            }
            let summary = try DiskBlockStore.summary(directory: cache.path)
            let counted = try du(cache)
            #expect(summary.bytes == counted, "seed \(seed) round \(round)")
            #expect(summary.bytes <= 8 << 20)
            #expect(summary.shares.reduce(0) { $0 + $1.bytes } == summary.bytes)
            store.close()
            store = try cache.store(limit: 8 << 20, openFiles: 4)
        }
        store.close()
    }

    /// Bytes of the files below objects/, without those of directories.
    private func du(_ cache: TestCache) throws -> Int64 {
        let result = cache.path + "/du"
        #expect(
            shell(
                "find \(cache.path)/objects -type f -print0 | du --files0-from=- -c -B1 "
                    + "| tail -n 1 | cut -f 1 > \(result)") == 0)
        defer { unlink(result) }
        let text = try String(contentsOfFile: result, encoding: .utf8)
        return try #require(Int64(text.trimmingCharacters(in: .whitespacesAndNewlines)))
    }
}
