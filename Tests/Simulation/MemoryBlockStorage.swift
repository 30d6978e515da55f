// Block storage in memory, with the faults of a disk that a seed plays.
//
// Stores are written later, through the scheduler, so that memory freed before `release` shows as
// damage. A damaged chunk reads as the real store's does: false, and it is gone.
//
// Locks: one mutex, a leaf; nothing is called under it.

public import BlockStore
public import Scheduling
import Synchronization

/// What goes wrong with the local disk: probabilities (0 to 1), and how slow it is.
public struct BlockFaults: Sendable {
    /// Opens that the store cannot serve.
    public var refuseOpen: Double = 0
    /// Stores that are dropped when their turn to be written comes.
    public var dropStore: Double = 0
    /// Stores that are refused at once, as by a full queue: `release` is called on the caller's stack.
    public var refuseStore: Double = 0
    /// Chunks of a read that turn out damaged.
    public var damageChunk: Double = 0
    /// How long a store waits to be written.
    public var delay: ClosedRange<Duration> = .zero...(.zero)

    /// No faults.
    public init() {}

    /// Everything that can go wrong, now and then.
    public static var rough: BlockFaults {
        var faults = BlockFaults()
        faults.refuseOpen = 0.02
        faults.dropStore = 0.1
        faults.refuseStore = 0.1
        faults.damageChunk = 0.01
        faults.delay = .zero...(.milliseconds(200))
        return faults
    }
}

/// Blocks of objects in memory.
public final class MemoryBlockStorage: BlockStorage {
    private let scheduler: any Scheduler
    fileprivate let state: Mutex<State>

    fileprivate struct Place: Hashable {
        var identity: ObjectIdentity
        var block: Int
        var chunk: Int
    }

    fileprivate struct State {
        var chunks: [Place: [UInt8]] = [:]
        var generator: SeededGenerator
        var faults = BlockFaults()
        var isFull = false
        var pendingStores = 0
        var chunksRead = 0
        var chunksStored = 0
    }

    public init(scheduler: any Scheduler, seed: UInt64) {
        self.scheduler = scheduler
        state = Mutex(State(generator: SeededGenerator(seed: seed)))
    }

    /// What goes wrong, and how often.
    public var faults: BlockFaults {
        get { state.withLock { $0.faults } }
        set { state.withLock { $0.faults = newValue } }
    }

    /// True drops every store, as a full disk does.
    public var isFull: Bool {
        get { state.withLock { $0.isFull } }
        set { state.withLock { $0.isFull = newValue } }
    }

    /// Stores that were not written or dropped yet, so still hold their memory.
    public var pendingStores: Int { state.withLock { $0.pendingStores } }
    /// Chunks read well so far.
    public var chunksRead: Int { state.withLock { $0.chunksRead } }
    /// Chunks written so far.
    public var chunksStored: Int { state.withLock { $0.chunksStored } }
    /// Chunks held now.
    public var count: Int { state.withLock { $0.chunks.count } }

    /// Drops each chunk with the given probability, as eviction by another mount does.
    public func evict(_ probability: Double) {
        state.withLock { state in
            // Sorted, because a dictionary's order is another one in every process.
            let places = state.chunks.keys.sorted {
                ($0.identity.key.description, $0.identity.etag, $0.block, $0.chunk)
                    < ($1.identity.key.description, $1.identity.etag, $1.block, $1.chunk)
            }
            for place in places where state.generator.chance(probability) {
                state.chunks[place] = nil
            }
        }
    }

    public func open(_ identity: ObjectIdentity) -> (any CachedObject)? {
        let isRefused = state.withLock { $0.generator.chance($0.faults.refuseOpen) }
        return isRefused ? nil : MemoryCachedObject(storage: self, identity: identity)
    }

    fileprivate func store(
        _ identity: ObjectIdentity, block: Int, chunks: Range<Int>, from memory: UnsafeRawPointer,
        release: @escaping @Sendable () -> Void
    ) {
        let address = UInt(bitPattern: memory)
        let delay: Duration? = state.withLock { state in
            guard !state.generator.chance(state.faults.refuseStore) else { return nil }
            state.pendingStores += 1
            return state.generator.duration(in: state.faults.delay)
        }
        guard let delay else { return release() }
        scheduler.after(delay) {
            self.state.withLock { state in
                state.pendingStores -= 1
                let isDropped = state.generator.chance(state.faults.dropStore)
                guard !state.isFull, !isDropped else { return }
                let memory = UnsafeRawPointer(bitPattern: address)!
                for chunk in chunks {
                    let length = identity.length(block: block, chunk: chunk)
                    let from = memory + (chunk - chunks.lowerBound) * BlockGeometry.chunkSize
                    state.chunks[Place(identity: identity, block: block, chunk: chunk)] =
                        Array(UnsafeRawBufferPointer(start: from, count: length))
                    state.chunksStored += 1
                }
            }
            release()
        }
    }

    fileprivate func read(
        _ identity: ObjectIdentity, block: Int, chunks: Range<Int>,
        into memory: UnsafeMutableRawPointer
    ) -> Bool {
        state.withLock { state in
            for chunk in chunks {
                let place = Place(identity: identity, block: block, chunk: chunk)
                guard let bytes = state.chunks[place] else { return false }
                let into = memory + (chunk - chunks.lowerBound) * BlockGeometry.chunkSize
                bytes.withUnsafeBytes {
                    into.copyMemory(from: $0.baseAddress!, byteCount: $0.count)
                }
                if state.generator.chance(state.faults.damageChunk) {
                    let byte = Int.random(in: 0..<bytes.count, using: &state.generator)
                    into.storeBytes(of: bytes[byte] ^ 1, toByteOffset: byte, as: UInt8.self)
                    state.chunks[place] = nil
                    return false
                }
                state.chunksRead += 1
            }
            return true
        }
    }

    fileprivate func present(_ identity: ObjectIdentity, block: Int) -> UInt64 {
        state.withLock { state in
            var mask: UInt64 = 0
            for chunk in 0..<BlockGeometry.chunksPerBlock
            where state.chunks[Place(identity: identity, block: block, chunk: chunk)] != nil {
                mask |= 1 << UInt64(chunk)
            }
            return mask
        }
    }
}

private final class MemoryCachedObject: CachedObject {
    private let storage: MemoryBlockStorage
    private let identity: ObjectIdentity

    init(storage: MemoryBlockStorage, identity: ObjectIdentity) {
        self.storage = storage
        self.identity = identity
    }

    func present(block: Int) -> UInt64 { storage.present(identity, block: block) }

    func read(block: Int, chunks: Range<Int>, into memory: UnsafeMutableRawPointer) -> Bool {
        identity.check(block: block, chunks: chunks)
        return storage.read(identity, block: block, chunks: chunks, into: memory)
    }

    func store(
        block: Int, chunks: Range<Int>, from memory: UnsafeRawPointer,
        release: @escaping @Sendable () -> Void
    ) {
        identity.check(block: block, chunks: chunks)
        storage.store(identity, block: block, chunks: chunks, from: memory, release: release)
    }
}

extension ObjectIdentity {
    /// Bytes of one chunk of this object.
    fileprivate func length(block: Int, chunk: Int) -> Int {
        let start =
            Int64(block) * Int64(BlockGeometry.blockSize)
            + Int64(chunk) * Int64(BlockGeometry.chunkSize)
        return Int(min(Int64(BlockGeometry.chunkSize), size - start))
    }

    /// Stops a caller that names chunks the object does not have.
    fileprivate func check(block: Int, chunks: Range<Int>) {
        precondition(block >= 0 && chunks.lowerBound >= 0 && !chunks.isEmpty)
        precondition(chunks.upperBound <= BlockGeometry.chunksPerBlock)
        precondition(length(block: block, chunk: chunks.upperBound - 1) > 0, "behind the object")
    }
}
