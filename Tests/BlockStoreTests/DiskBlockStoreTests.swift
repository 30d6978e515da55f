// What is stored comes back, or nothing does; never anything else.

import BlockStore
import CPlatform
import Foundation
import Testing

@Suite struct DiskBlockStoreTests {
    @Test func storedChunksComeBackHereAndAfterReopening() throws {
        let cache = TestCache()
        let identity = Known.identity(1, size: 3 << 20 + 20_000)
        do {
            let store = try cache.store()
            let object = try #require(store.open(identity))
            #expect(object.present(block: 0) == 0)
            Known.put(object, identity, 0, 0..<64)
            Known.put(object, identity, 1, 3..<5)
            Known.put(object, identity, 3, 0..<2)
            store.synchronize()
            #expect(object.present(block: 0) == .max)
            #expect(object.present(block: 1) == 0b11000)
            #expect(object.present(block: 3) == 0b11)
            #expect(Known.check(object, identity, 0, 0..<64) == .right)
            #expect(Known.check(object, identity, 1, 4..<5) == .right)
            #expect(Known.check(object, identity, 1, 2..<4) == .absent)
            #expect(Known.check(object, identity, 3, 0..<2) == .right)
            let outside = Memory(1 << 20)
            #expect(!object.read(block: 4, chunks: 0..<1, into: outside.pointer))
            #expect(!object.read(block: 3, chunks: 1..<3, into: outside.pointer))
            store.close()
        }
        let store = try cache.store()
        let object = try #require(store.open(identity))
        #expect(object.present(block: 0) == .max)
        #expect(Known.check(object, identity, 3, 1..<2) == .right)
        let other = try #require(store.open(Known.identity(2, size: 100)))
        #expect(other.present(block: 0) == 0)
        store.close()
    }

    @Test func flippedBitsAreMissesAndOnlyThoseChunks() throws {
        let cache = TestCache()
        let identity = Known.identity(1, size: 1 << 20)
        let store = try cache.store()
        let object = try #require(store.open(identity))
        Known.put(object, identity, 0, 0..<64)
        store.synchronize()
        cache.flip(cache.files(".data")[0], at: 5 << 14 + 77)
        #expect(Known.check(object, identity, 0, 0..<64) == .absent)
        #expect(object.present(block: 0) == ~(1 << 5))
        #expect(Known.check(object, identity, 0, 6..<64) == .right)
        Known.put(object, identity, 0, 5..<6)
        store.close()
        // The checksum of chunk 9 and the bit of chunk 63, in the map.
        cache.flip(cache.files(".map")[0], at: 2048 + 8 + 36)
        let again = try cache.store()
        let reopened = try #require(again.open(identity))
        #expect(Known.check(reopened, identity, 0, 5..<6) == .right)
        #expect(Known.check(reopened, identity, 0, 9..<10) == .absent)
        #expect(Known.check(reopened, identity, 0, 10..<64) == .right)
        again.close()
    }

    @Test(arguments: ["header", "map", "data"])
    func truncatedOrAlienFilesAreBegunAnew(what: String) throws {
        let cache = TestCache()
        let identity = Known.identity(1, size: 1 << 20)
        do {
            let store = try cache.store()
            let object = try #require(store.open(identity))
            Known.put(object, identity, 0, 0..<64)
            store.close()
        }
        switch what {
        case "header": cache.flip(cache.files(".map")[0], at: 40)
        case "map": truncate(cache.files(".map")[0], 2100)
        default: truncate(cache.files(".data")[0], 100_000)
        }
        let store = try cache.store()
        let object = try #require(store.open(identity))
        #expect(Known.check(object, identity, 0, 20..<64) == .absent)
        Known.put(object, identity, 0, 0..<64)
        store.synchronize()
        #expect(Known.check(object, identity, 0, 0..<64) == .right)
        store.close()
    }

    @Test func aFileCutOffUnderneathIsAMissNotACrash() throws {
        let cache = TestCache()
        let identity = Known.identity(1, size: 2 << 20)
        let store = try cache.store()
        let object = try #require(store.open(identity))
        Known.put(object, identity, 1, 0..<64)
        store.synchronize()
        truncate(cache.files(".data")[0], 0)
        truncate(cache.files(".map")[0], 0)
        #expect(Known.check(object, identity, 1, 0..<64) == .absent)
        #expect(object.present(block: 1) == 0)
        store.close()
    }

    @Test func aFileLargerThanTheLimitStreamsThroughAndTheLimitHolds() throws {
        let cache = TestCache()
        let limit: Int64 = 16 << 20
        let store = try cache.store(limit: limit)
        let identity = Known.identity(1, size: 64 << 20)
        let object = try #require(store.open(identity))
        for block in 0..<64 {
            Known.put(object, identity, block, 0..<64)
            if block % 4 == 3 { store.synchronize() }
            #expect(cache.diskBytes <= limit)
        }
        #expect(Known.check(object, identity, 63, 0..<64) == .right)
        #expect(object.present(block: 0) == 0)
        let kept = (0..<64).count { Known.check(object, identity, $0, 0..<64) == .right }
        #expect(kept >= 8, "most of the limit is used: \(kept) MiB of 16")
        store.close()
    }

    @Test func coldObjectsGoFirst() throws {
        let cache = TestCache()
        let store = try cache.store(limit: 16 << 20)
        for number in 0..<40 {
            let identity = Known.identity(number, size: 1 << 20)
            Known.put(try #require(store.open(identity)), identity, 0, 0..<64)
            store.synchronize()
            // The first stays in use.
            let first = Known.identity(0, size: 1 << 20)
            #expect(Known.check(try #require(store.open(first)), first, 0, 0..<1) == .right)
            usleep(2000)
        }
        #expect(cache.diskBytes <= 16 << 20)
        let last = Known.identity(39, size: 1 << 20)
        #expect(try #require(store.open(last)).present(block: 0) == .max)
        let second = Known.identity(1, size: 1 << 20)
        #expect(try #require(store.open(second)).present(block: 0) == 0)
        store.close()
    }

    @Test func summaryAndClear() throws {
        let cache = TestCache()
        #expect(try DiskBlockStore.summary(directory: cache.path).objects == 0)
        let store = try cache.store()
        let identities = (0..<4).map { Known.identity($0, size: 1 << 20) }
        let objects = try identities.map { try #require(store.open($0)) }
        for (object, identity) in zip(objects, identities) {
            Known.put(object, identity, 0, 0..<32)
        }
        store.synchronize()
        let summary = try DiskBlockStore.summary(directory: cache.path)
        #expect(summary.objects == 4)
        #expect(summary.mounts == 1)
        #expect(summary.limit == 1 << 30)
        #expect(summary.bytes == cache.diskBytes)
        #expect(summary.shares.map(\.objects) == [2, 2])
        #expect(try DiskBlockStore.clear(directory: cache.path).objects == 4)
        #expect(cache.files("").isEmpty)
        for (object, identity) in zip(objects, identities) {
            #expect(Known.check(object, identity, 0, 0..<32) == .absent)
            Known.put(object, identity, 0, 0..<32)
        }
        store.synchronize()
        #expect(Known.check(objects[0], identities[0], 0, 0..<32) == .right)
        store.close()
        #expect(try DiskBlockStore.summary(directory: cache.path).mounts == 0)
    }

    @Test func aDamagedIndexIsMadeAnewFromTheMaps() throws {
        let cache = TestCache()
        let identity = Known.identity(1, size: 1 << 20)
        do {
            let store = try cache.store()
            Known.put(try #require(store.open(identity)), identity, 0, 0..<64)
            store.close()
        }
        let index = cache.path + "/index.sqlite"
        for suffix in ["-wal", "-shm"] { unlink(index + suffix) }
        try Data(repeating: 0x5A, count: 20_000).write(to: URL(fileURLWithPath: index))
        let store = try cache.store()
        #expect(cache.log.withLock { $0.count } == 1)
        cache.scheduler.run {}
        for _ in 0..<500 where try DiskBlockStore.summary(directory: cache.path).objects == 0 {
            usleep(10_000)
        }
        let object = try #require(store.open(identity))
        #expect(Known.check(object, identity, 0, 0..<64) == .right)
        store.close()
    }

    @Test func checksumsAreCRC32C() {
        // RFC 3720, appendix B.4.
        let rising = (0..<32).map { UInt8($0) }
        #expect(pail_crc32c(0, [UInt8](repeating: 0, count: 32), 32) == 0x8A91_36AA)
        #expect(pail_crc32c(0, [UInt8](repeating: 0xFF, count: 32), 32) == 0x62A8_AB43)
        #expect(pail_crc32c(0, rising, 32) == 0x46DD_794E)
        #expect(pail_crc32c(0, Array("123456789".utf8), 9) == 0xE306_9283)
        var random = Seeded(7)
        let bytes = (0..<70_000).map { _ in UInt8.random(in: 0...255, using: &random) }
        bytes.withUnsafeBytes { memory in
            for _ in 0..<300 {
                let start = Int.random(in: 0..<64, using: &random)
                let count = Int.random(in: 0..<60_000, using: &random)
                #expect(
                    pail_crc32c(9, memory.baseAddress! + start, count)
                        == pail_crc32c_software(9, memory.baseAddress! + start, count))
            }
        }
    }
}
