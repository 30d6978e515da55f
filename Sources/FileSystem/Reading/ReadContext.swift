// What all reading shares: the store, the memory, the block store, and the rules by which memory
// moves between them.

import BlockStore
import Buffers
import Logging
import S3
import Scheduling
import Synchronization

/// The shared ground of all readers of a mount.
final class ReadContext: Sendable {
    let store: any ObjectStore
    let pool: BufferPool
    let scheduler: any Scheduler
    let contents: ContentTable
    let idle = IdleSegments()
    let gate: DemandGate
    let link = LinkEstimate()
    let logger: Logger
    /// Bytes that object stores were asked for, and bytes answered to the kernel.
    let fetchedBytes = Atomic<Int64>(0)
    let servedBytes = Atomic<Int64>(0)
    /// Streams that hold a window at the moment; they share the guesses' memory.
    let activeStreams = Atomic<Int>(0)
    /// Reads of the local disk on the caller's thread at the moment.
    let inlineDiskReads = Atomic<Int>(0)

    /// Segments that were read already are kept for a second reader up to this number. More would
    /// only mean to touch fresh memory where used memory, warm in the processor's cache, will do.
    static let consumedLimit = 32
    /// How many of those may be: the other threads stay free for what needs no disk.
    static let inlineDiskReadLimit = 12
    /// From this many bytes on an answer is not written on the thread that took the bytes from the
    /// network.
    static let largeAnswer = 64 << 10

    init(
        store: any ObjectStore, blocks: (any BlockStorage)?, storeName: String, pool: BufferPool,
        scheduler: any Scheduler, logger: Logger
    ) {
        self.store = store
        self.pool = pool
        self.scheduler = scheduler
        self.logger = logger
        contents = ContentTable(blocks: blocks, storeName: storeName)
        gate = DemandGate(limit: pool.limit / 2)
    }

    // MARK: Memory

    /// Buffers of the given sizes for somebody who waits, one after the other. `then` is called before
    /// this returns if there is no wait, else on a thread of the scheduler: buffers come back under
    /// the locks of contents and fetches, where nothing may go on.
    func takeBuffers(
        _ sizes: [Int], into taken: [Buffer] = [], then: @escaping @Sendable ([Buffer]) -> Void
    ) {
        guard taken.count < sizes.count else { return then(taken) }
        let size = sizes[taken.count]
        repeat {
            if let buffer = pool.takeAtOnce(fitting: size) {
                return takeBuffers(sizes, into: taken + [buffer], then: then)
            }
        } while evictOne(guesses: true)
        pool.take(fitting: size) { [self] buffer in
            scheduler.run { [self] in takeBuffers(sizes, into: taken + [buffer], then: then) }
        }
        // A segment may have become idle between the look and the wait, seen by nobody.
        evictForWaiters()
    }

    /// A buffer for a guess; may push out what was read already.
    func takeForGuess(_ size: Int) -> Buffer? {
        if let buffer = pool.tryTake(fitting: size) { return buffer }
        guard !pool.hasWaiters, evictOne(guesses: false) else { return nil }
        return pool.tryTake(fitting: size)
    }

    /// Takes note of segments that nobody needs now, and lets them go at once if somebody waits.
    func idle(_ segments: [IdleSegment], of content: ObjectContent) {
        guard !segments.isEmpty else { return }
        idle.add(segments, of: content)
        while idle.consumedCount > Self.consumedLimit, evictOne(guesses: false) {}
        evictForWaiters()
    }

    private func evictForWaiters() {
        while pool.hasWaiters, evictOne(guesses: true) {}
    }

    private func evictOne(guesses: Bool) -> Bool {
        guard let content = idle.evictOne(guesses: guesses) else { return false }
        contents.dropIfUnused(content)
        return true
    }

    // MARK: Segments

    /// A segment's bytes are all there: on to the block store, unless memory is short.
    func completed(_ segment: Segment, of content: ObjectContent) {
        let buffer = content.complete(segment, store: !pool.hasWaiters)
        guard let buffer, let cached = content.cached else {
            idle(content.settled(segment), of: content)
            return
        }
        unsafe cached.store(
            block: segment.block, chunks: segment.chunks, from: UnsafeRawPointer(buffer.pointer)
        ) { [self] in
            _ = buffer
            idle(content.settled(segment), of: content)
            contents.dropIfUnused(content)
        }
    }
}
