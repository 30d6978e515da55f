// A run of chunks of one block in memory: being filled by a fetch, or complete.

import BlockStore
import Buffers
import S3

/// Part of one block in memory.
///
/// Every mutable field is guarded by the lock of the `ObjectContent` that holds the segment. The
/// buffer's bytes `0..<filled` are written before `filled` grows and never change afterwards.
final class Segment: @unchecked Sendable {
    let block: Int
    /// Chunks of the block, whole but for the object's last one.
    let chunks: Range<Int>
    /// First byte in the object.
    let start: Int64
    /// Bytes.
    let count: Int

    /// Nil once the segment was dropped.
    var buffer: Buffer?
    /// Bytes that have arrived, from the start.
    var filled = 0
    /// Reads that hold the segment in place.
    var pins = 0
    /// Bytes that reads were answered with; all of them served once means it has done its work.
    var served = 0
    /// True while the block store still has to write it.
    var isStoring = false
    /// Counts how often it was put on the idle list; an entry with an older ticket means nothing.
    var idleTicket = 0
    /// Those who wait for bytes which have not arrived.
    var waiters: [Waiter] = []

    /// Somebody who waits until `need` bytes of the segment are there.
    struct Waiter {
        var need: Int
        var waiter: any SegmentWaiter
    }

    init(block: Int, chunks: Range<Int>, objectSize: Int64, buffer: Buffer) {
        self.block = block
        self.chunks = chunks
        start = BlockRange.start(block: block, chunk: chunks.lowerBound)
        count = Int(
            min(BlockRange.start(block: block, chunk: chunks.upperBound), objectSize) - start)
        self.buffer = buffer
    }

    var end: Int64 { start + Int64(count) }
    var isComplete: Bool { filled == count }
    /// Complete and needed by nobody at the moment.
    var isIdle: Bool { isComplete && pins == 0 && waiters.isEmpty && !isStoring && buffer != nil }
    var isConsumed: Bool { served >= count }
}

/// Waits for bytes of a segment. Told once for each segment, never under a lock.
protocol SegmentWaiter: AnyObject, Sendable {
    /// The bytes are there.
    func partArrived()
    /// They will not come.
    func failed(_ error: StoreError)
}

/// Arithmetic of blocks and chunks.
enum BlockRange {
    static let blockSize = Int64(BlockGeometry.blockSize)
    static let chunkSize = Int64(BlockGeometry.chunkSize)
    static let chunksPerBlock = BlockGeometry.chunksPerBlock

    /// The offset of a chunk in the object.
    static func start(block: Int, chunk: Int) -> Int64 {
        Int64(block) * blockSize + Int64(chunk) * chunkSize
    }

    /// The block that holds a byte.
    static func block(of offset: Int64) -> Int { Int(offset / blockSize) }

    /// The chunks of `block` that a byte range touches; empty when it touches none.
    static func chunks(of range: Range<Int64>, in block: Int) -> Range<Int> {
        let base = Int64(block) * blockSize
        let low = max(range.lowerBound - base, 0)
        let high = min(range.upperBound - base, blockSize)
        guard low < high else { return 0..<0 }
        return Int(low / chunkSize)..<Int((high + chunkSize - 1) / chunkSize)
    }

    /// The blocks that a non-empty byte range touches.
    static func blocks(of range: Range<Int64>) -> ClosedRange<Int> {
        block(of: range.lowerBound)...block(of: range.upperBound - 1)
    }

    /// Bits of `chunks` in a block's bitmap.
    static func mask(_ chunks: Range<Int>) -> UInt64 {
        let width = chunks.count
        guard width > 0 else { return 0 }
        let ones: UInt64 = width == 64 ? .max : (1 << UInt64(width)) - 1
        return ones << UInt64(chunks.lowerBound)
    }
}
