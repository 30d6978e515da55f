import BlockStore
import Simulation
import Testing

struct MemoryBlockStorageTests {
    let scheduler = SimulatedScheduler(seed: 1)
    let storage: MemoryBlockStorage
    /// One block, its second chunk short.
    let identity = ObjectIdentity(store: "s", key: [1], etag: "e", size: 20_000)

    init() { storage = MemoryBlockStorage(scheduler: scheduler, seed: 1) }

    /// Stores both chunks from memory that is overwritten as soon as it is released.
    private func store(_ bytes: [UInt8]) -> Bool {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: 16)
        defer { memory.deallocate() }
        memory.copyMemory(from: bytes, byteCount: bytes.count)
        let released = Slot<Bool>()
        let object = storage.open(identity)!
        object.store(block: 0, chunks: 0..<2, from: memory) { released.set(true) }
        scheduler.runUntilIdle()
        return released.value == true
    }

    private func read(_ chunks: Range<Int>) -> [UInt8]? {
        var memory = [UInt8](repeating: 0, count: chunks.count * BlockGeometry.chunkSize)
        let isGood = memory.withUnsafeMutableBytes {
            storage.open(identity)!.read(block: 0, chunks: chunks, into: $0.baseAddress!)
        }
        return isGood ? memory : nil
    }

    @Test func storedChunksReadBack() {
        var generator = SeededGenerator(seed: 1)
        let bytes = generator.bytes(20_000)
        #expect(read(0..<1) == nil)
        #expect(store(bytes))
        #expect(storage.open(identity)!.present(block: 0) == 0b11)
        #expect(read(0..<2)?.prefix(20_000) == bytes[...])
        #expect(read(1..<2)?.prefix(3616) == bytes[16384...])
    }

    @Test func fullDiskDropsAndReleases() {
        storage.isFull = true
        #expect(store(Array(repeating: 1, count: 20_000)))
        #expect(storage.open(identity)!.present(block: 0) == 0)
        #expect(storage.pendingStores == 0)
    }

    @Test func damagedChunkIsGoneAfterwards() {
        #expect(store(Array(repeating: 1, count: 20_000)))
        storage.faults.damageChunk = 1
        #expect(read(1..<2) == nil)
        storage.faults.damageChunk = 0
        #expect(storage.open(identity)!.present(block: 0) == 0b01)
        #expect(read(0..<1) != nil)
    }

    @Test func refusalsReleaseAtOnceAndOpenMayFail() {
        storage.faults.refuseStore = 1
        #expect(store(Array(repeating: 1, count: 20_000)))
        #expect(storage.count == 0)
        storage.faults.refuseOpen = 1
        #expect(storage.open(identity) == nil)
    }
}
