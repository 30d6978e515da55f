// Other processes, sudden death, full and read-only disks.

import BlockStore
import Foundation
import Testing

@Suite struct HardTimesTests {
    @Test func twoStoresOnOneDirectoryNeverCorruptAndKeepTheLimit() throws {
        let cache = TestCache()
        let limit: Int64 = 12 << 20
        let stores = [try cache.store(limit: limit), try cache.store(limit: limit)]
        let seed = UInt64.random(in: 0...1_000_000)
        DispatchQueue.concurrentPerform(iterations: 4) { thread in
            var random = Seeded(seed &+ UInt64(thread))
            let store = stores[thread % 2]
            for round in 0..<60 {
                let number = Int.random(in: 0..<6, using: &random)
                let identity = Known.identity(number, size: Int64(number + 1) << 20)
                let object = store.open(identity)!
                let block = Int.random(in: 0...number, using: &random)
                let from = Int.random(in: 0..<64, using: &random)
                let chunks = from..<Int.random(in: from + 1...64, using: &random)
                if Known.check(object, identity, block, chunks) == .wrong {
                    Issue.record("seed \(seed) thread \(thread) round \(round): wrong bytes")
                }
                Known.put(object, identity, block, chunks)
                if round % 8 == 0 { store.synchronize() }
                if cache.diskBytes > limit {
                    Issue.record("seed \(seed): \(cache.diskBytes) bytes, over the limit")
                }
            }
        }
        for store in stores { store.synchronize() }
        #expect(cache.diskBytes <= limit)
        #expect(cache.log.withLock { $0 } == [])
        for store in stores { store.close() }
        #expect(try DiskBlockStore.summary(directory: cache.path).mounts == 0)
    }

    @Test func killedInMidWriteEveryBlockIsRightOrAbsent() async throws {
        let cache = TestCache()
        let path = cache.path
        let identity = Known.identity(3, size: 64 << 20)
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let cache = TestCache(path: path)
            let store = try cache.store()
            let identity = Known.identity(3, size: 64 << 20)
            let object = store.open(identity)!
            for block in 0..<8 { Known.put(object, identity, block, 0..<64) }
            store.synchronize()
            for block in 8..<64 { Known.put(object, identity, block, 0..<64) }
            while object.present(block: 20) == 0 { usleep(100) }
            kill(getpid(), SIGKILL)
        }
        let store = try cache.store()
        let object = try #require(store.open(identity))
        var right = 0
        for block in 0..<64 {
            let answer = Known.check(object, identity, block, 0..<64)
            #expect(answer != .wrong)
            right += answer == .right ? 1 : 0
        }
        #expect(right >= 8)
        // The account is made anew: what the dead process wrote last counts too.
        for _ in 0..<500
        where try DiskBlockStore.summary(directory: path).bytes != cache.diskBytes {
            usleep(10_000)
            store.synchronize()
        }
        #expect(try DiskBlockStore.summary(directory: path).bytes == cache.diskBytes)
        #expect(try DiskBlockStore.summary(directory: path).mounts == 1)
        store.close()
    }

    @Test(.enabled(if: geteuid() == 0)) func aFullDiskIsSaidOnceAndReadsGoOn() throws {
        let cache = TestCache()
        let unmount = try cache.mount(size: "6m")
        defer { unmount() }
        let store = try cache.store(limit: 1 << 30)
        let identity = Known.identity(1, size: 32 << 20)
        let object = try #require(store.open(identity))
        for block in 0..<32 { Known.put(object, identity, block, 0..<64) }
        store.synchronize()
        for block in 0..<32 { #expect(Known.check(object, identity, block, 0..<64) != .wrong) }
        Known.put(object, identity, 0, 0..<64)
        store.synchronize()
        #expect(cache.log.withLock { $0.count } <= 1)
        store.close()
    }

    @Test(.enabled(if: geteuid() == 0)) func aReadOnlyDirectoryIsRefusedInOneLine() throws {
        let cache = TestCache()
        try FileManager.default.createDirectory(
            atPath: cache.path, withIntermediateDirectories: true)
        try #require(shell("mount -t tmpfs -o ro,size=1m none \(cache.path)") == 0)
        defer { _ = shell("umount -l \(cache.path)") }
        let error = #expect(throws: BlockStoreError.self) { try cache.store() }
        #expect(error?.description.contains("Read-only file system") == true)
    }

    @Test func linksAndForeignDirectoriesAreRefused() throws {
        let cache = TestCache()
        let link = TestCache()
        try FileManager.default.createDirectory(
            atPath: cache.path, withIntermediateDirectories: true)
        symlink(cache.path, link.path)
        #expect(throws: BlockStoreError.self) { try link.store() }
        if geteuid() == 0 {
            chown(cache.path, 12345, 12345)
            let error = #expect(throws: BlockStoreError.self) { try cache.store() }
            #expect(error?.description.contains("uid 12345") == true)
        }
    }

    @Test func aFullQueueDropsAndReleasesAtOnce() throws {
        let cache = TestCache()
        let store = try cache.store(queueLimit: 0)
        let identity = Known.identity(1, size: 1 << 20)
        let object = try #require(store.open(identity))
        let memory = Memory(1 << 20)
        let released = DispatchSemaphore(value: 0)
        object.store(block: 0, chunks: 0..<64, from: memory.pointer) { released.signal() }
        #expect(released.wait(timeout: .now()) == .success)
        store.synchronize()
        #expect(object.present(block: 0) == 0)
        store.close()
    }

    @Test func whatAnyStoreAnswersFitsAModelOfBits() throws {
        let seed = UInt64.random(in: 0...1_000_000)
        var random = Seeded(seed)
        let cache = TestCache()
        var store = try cache.store()
        let identities = (0..<5).map { Known.identity($0, size: Int64($0) * 700_001 + 1) }
        var model: [[UInt64]] = identities.map { _ in Array(repeating: 0, count: 4) }
        for step in 0..<300 {
            let which = Int.random(in: 0..<5, using: &random)
            let identity = identities[which]
            let block = Int.random(in: 0...Int((identity.size - 1) >> 20), using: &random)
            let count = Int((min(identity.size - Int64(block) << 20, 1 << 20) + 16383) >> 14)
            let from = Int.random(in: 0..<count, using: &random)
            let chunks = from..<Int.random(in: from + 1...count, using: &random)
            let bits = chunks.reduce(UInt64(0)) { $0 | 1 << UInt64($1) }
            let object = try #require(store.open(identity))
            switch Int.random(in: 0..<10, using: &random) {
            case 0:
                store.close()
                store = try cache.store()
            case 1...4:
                Known.put(object, identity, block, chunks)
                store.synchronize()
                model[which][block] |= bits
            default:
                #expect(object.present(block: block) == model[which][block], "seed \(seed) \(step)")
                let there = model[which][block] & bits == bits
                #expect(
                    Known.check(object, identity, block, chunks) == (there ? .right : .absent),
                    "seed \(seed) step \(step)")
            }
        }
        store.close()
    }
}
