// Disks that fill up or turn read-only in the middle, an index that fails, and threads that must
// never wait.

import BlockStore
import Foundation
import GRDB
import Synchronization
import Testing

@Suite(.serialized) struct DiskTroubleTests {
    @Test(.enabled(if: geteuid() == 0)) func aDiskFilledBySomebodyElseGivesENOSPCOnceAndRecovers()
        throws
    {
        let cache = TestCache()
        let unmount = try cache.mount(size: "24m")
        defer { unmount() }
        let clock = JumpingScheduler(cache.scheduler)
        let store = try cache.store(clock: clock)
        let identity = Known.identity(1, size: 64 << 20)
        let object = try #require(store.open(identity))
        Known.put(object, identity, 0, 0..<64)
        store.synchronize()
        // The claim stands; its room goes to another.
        let hog = cache.path + "/hog"
        _ = shell("dd if=/dev/zero of=\(hog) bs=64k 2>/dev/null")
        for block in 1..<8 { Known.put(object, identity, block, 0..<64) }
        store.synchronize()
        #expect(cache.log.withLock { $0.filter { $0.contains("No space left") }.count } == 1)
        #expect(Known.check(object, identity, 0, 0..<64) == .right)
        for block in 1..<8 { #expect(Known.check(object, identity, block, 0..<64) != .wrong) }
        unlink(hog)
        clock.jump(.seconds(3))
        Known.put(object, identity, 9, 0..<64)
        store.synchronize()
        #expect(Known.check(object, identity, 9, 0..<64) == .right)
        store.close()
    }

    @Test(.enabled(if: geteuid() == 0)) func aDiskThatTurnsReadOnlyServesReadsAndRecovers() throws {
        let cache = TestCache()
        let unmount = try cache.mount(size: "24m")
        defer { unmount() }
        let clock = JumpingScheduler(cache.scheduler)
        let store = try cache.store(openFiles: 1, clock: clock)
        let identities = (0..<6).map { Known.identity($0, size: 2 << 20) }
        for identity in identities {
            Known.put(try #require(store.open(identity)), identity, 0, 0..<64)
            store.synchronize()
        }
        // Lazily, as errors remount: open files stay writable otherwise and refuse it.
        store.close()
        let second = try cache.store(openFiles: 1, clock: clock)
        _ = shell("mount -o remount,ro,force \(cache.path) 2>/dev/null")
        let isReadOnly = shell("touch \(cache.path)/probe 2>/dev/null") != 0
        for identity in identities {
            let object = try #require(second.open(identity))
            let before = Known.check(object, identity, 0, 0..<64)
            #expect(before != .wrong)
            Known.put(object, identity, 1, 0..<64)
            second.synchronize()
            if isReadOnly { #expect(object.present(block: 1) == 0) }
        }
        _ = shell("mount -o remount,rw \(cache.path)")
        clock.jump(.seconds(61))
        for identity in identities {
            let object = try #require(second.open(identity))
            Known.put(object, identity, 1, 0..<64)
            second.synchronize()
            #expect(Known.check(object, identity, 1, 0..<64) == .right)
        }
        second.close()
    }

    @Test func anIndexWhoseStatementsFailIsTriedAgain() throws {
        let cache = TestCache()
        let clock = JumpingScheduler(cache.scheduler)
        let store = try cache.store(clock: clock)
        let first = Known.identity(1, size: 1 << 20)
        Known.put(try #require(store.open(first)), first, 0, 0..<64)
        store.synchronize()
        // Its tables are gone: every statement fails.
        let index = try DatabaseQueue(path: cache.path + "/index.sqlite")
        try index.write { try $0.execute(sql: "ALTER TABLE owners RENAME TO gone") }
        let second = Known.identity(2, size: 1 << 20)
        let object = try #require(store.open(second))
        Known.put(object, second, 0, 0..<64)
        store.synchronize()
        #expect(cache.log.withLock { $0.filter { $0.contains("index.sqlite") }.count } == 1)
        try index.write { try $0.execute(sql: "ALTER TABLE gone RENAME TO owners") }
        try index.close()
        clock.jump(.seconds(31))
        store.synchronize()
        Known.put(object, second, 0, 0..<64)
        store.synchronize()
        #expect(Known.check(object, second, 0, 0..<64) == .right)
        #expect(try DiskBlockStore.summary(directory: cache.path).objects == 2)
        store.close()
    }

    @Test func openPresentAndStoreDoNotWaitForTheDisk() throws {
        let cache = TestCache()
        let identity = Known.identity(1, size: 2 << 20)
        do {
            let store = try cache.store()
            Known.put(try #require(store.open(identity)), identity, 0, 0..<64)
            store.close()
        }
        let store = try cache.store()
        // The map is read when the object is opened: gone or not, nothing asks the disk after that.
        let object = try #require(store.open(identity))
        let away = cache.path + "/away"
        try FileManager.default.moveItem(atPath: cache.path + "/objects", toPath: away)
        #expect(object.present(block: 0) == .max)
        #expect(object.present(block: 1) == 0)
        // Opening what is not known to be cached makes no file and looks for none.
        try FileManager.default.moveItem(atPath: away, toPath: cache.path + "/objects")
        let fresh = Known.identity(2, size: 1 << 20)
        let unknown = try #require(store.open(fresh))
        #expect(unknown.present(block: 0) == 0)
        #expect(cache.files(".map").count == 1)
        store.close()
    }

    @Test func theMapOfALargeObjectIsKnownSoonAfterItsOpen() throws {
        let cache = TestCache()
        let identity = Known.identity(1, size: 20_000 << 20)
        do {
            let store = try cache.store()
            let object = try #require(store.open(identity))
            for block in [0, 2047, 2048, 9000, 19_999] {
                Known.put(object, identity, block, 1..<2)
            }
            store.close()
        }
        let store = try cache.store()
        let object = try #require(store.open(identity))
        #expect(object.present(block: 0) == 2)
        #expect(object.present(block: 2047) == 2)
        // A read may wait for the disk, so it need not wait for the rest.
        #expect(Known.check(object, identity, 19_999, 1..<2) == .right)
        for _ in 0..<500 where object.present(block: 9000) == 0 { usleep(10_000) }
        for block in [2048, 9000, 19_999] { #expect(object.present(block: block) == 2) }
        #expect(object.present(block: 9001) == 0)
        store.close()
    }

    @Test func moreObjectsThanOpenFilesStayReadable() throws {
        let cache = TestCache()
        let store = try cache.store(openFiles: 4)
        let identities = (0..<40).map { Known.identity($0, size: $0 % 2 == 0 ? 40_000 : 700_000) }
        let objects = try identities.map { try #require(store.open($0)) }
        for (object, identity) in zip(objects, identities) {
            Known.put(object, identity, 0, 0..<2)
        }
        store.synchronize()
        for (object, identity) in zip(objects, identities) {
            #expect(Known.check(object, identity, 0, 0..<2) == .right)
        }
        Known.put(objects[0], identities[0], 0, 2..<3)
        store.synchronize()
        let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count {
            let path = "/proc/self/fd/\($0)"
            let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path)
            return target?.hasPrefix(cache.path + "/objects/") == true
        }
        #expect(open <= 2 * 6)
        store.close()
    }

    @Test func evictionFitsAModelOfLeastRecentUse() throws {
        let seed = UInt64.random(in: 0...1_000_000)
        var random = Seeded(seed)
        let cache = TestCache()
        let clock = JumpingScheduler(cache.scheduler)
        let store = try cache.store(limit: 16 << 20, clock: clock)
        var lastUse: [Int: Int] = [:]
        var evicted = 0
        for step in 0..<200 {
            let number = Int.random(in: 0..<40, using: &random)
            let identity = Known.identity(number, size: 1 << 20)
            let object = try #require(store.open(identity))
            if Known.check(object, identity, 0, 0..<1) != .right {
                Known.put(object, identity, 0, 0..<64)
            }
            lastUse[number] = step
            store.synchronize()
            clock.jump(.milliseconds(10))
            var (kept, gone): ([Int], [Int]) = ([], [])
            for (number, use) in lastUse {
                let object = store.open(Known.identity(number, size: 1 << 20))
                if object?.present(block: 0) == .max {
                    kept.append(use)
                } else {
                    gone.append(use)
                    lastUse[number] = nil
                }
            }
            evicted += gone.count
            #expect((gone.max() ?? -1) < (kept.min() ?? .max), "seed \(seed) step \(step)")
        }
        #expect(evicted > 50, "seed \(seed)")
        store.close()
    }

    @Test func bytesKeptFreeStayFree() throws {
        let cache = TestCache()
        try FileManager.default.createDirectory(
            atPath: cache.path, withIntermediateDirectories: true)
        var status = statvfs()
        statvfs(cache.path, &status)
        let free = Int64(status.f_bavail) * Int64(status.f_frsize)
        // More than there is: nothing may be written.
        let store = try cache.store(keepFree: free + 64 << 30)
        let identity = Known.identity(1, size: 1 << 20)
        let object = try #require(store.open(identity))
        Known.put(object, identity, 0, 0..<64)
        store.synchronize()
        #expect(object.present(block: 0) == 0)
        #expect(cache.files("").isEmpty)
        store.close()
    }

    @Test func anyFlippedByteOfAMapIsAMissOrHarmless() throws {
        let seed = UInt64.random(in: 0...1_000_000)
        var random = Seeded(seed)
        let cache = TestCache()
        let small = Known.identity(1, size: 100_000)
        let large = Known.identity(2, size: 3 << 20)
        for round in 0..<24 {
            let store = try cache.store()
            for (identity, chunks) in [(small, 0..<3), (large, 10..<20)] {
                Known.put(try #require(store.open(identity)), identity, 0, chunks)
            }
            store.close()
            for file in cache.files(".map") {
                // Round 0 and 1: a bit of a chunk that is not there, and of one that is.
                let at: Int64 =
                    switch round {
                    case 0: 2048 + 7
                    case 1: 2048
                    default: Int64.random(in: 0..<2312, using: &random)
                    }
                cache.flip(file, at: at)
            }
            let again = try cache.store()
            for identity in [small, large] {
                let object = try #require(again.open(identity))
                for chunk in 0..<(identity == small ? 7 : 64) {
                    #expect(
                        Known.check(object, identity, 0, chunk..<chunk + 1) != .wrong,
                        "seed \(seed) round \(round)")
                }
            }
            again.close()
        }
    }
}
