// How a read is cut up by where its bytes are, and which buffers serve which parts.
// Pure: looks at what it is given, locks nothing.

import Buffers

/// Plans of reads.
enum ReadPlan {
    /// The parts of `range` within one block, in order and without a gap.
    ///
    /// - Parameters:
    ///   - segments: what is in memory of the block; they do not overlap.
    ///   - present: the block's chunks on disk; asked for only when memory does not cover the range.
    static func parts(
        of range: Range<Int64>, block: Int, segments: [Segment], present: () -> UInt64
    ) -> [ReadPart] {
        let chunks = BlockRange.chunks(of: range, in: block)
        if segments.count == 1, let segment = segments.first,
            segment.chunks.lowerBound <= chunks.lowerBound,
            segment.chunks.upperBound >= chunks.upperBound
        {
            return [.memory(segment, range: clamp(range, to: chunks, in: block))]
        }
        let present = present()
        var parts: [ReadPart] = []
        var chunk = chunks.lowerBound
        while chunk < chunks.upperBound {
            let isPresent = present >> UInt64(chunk) & 1 == 1
            if let segment = segments.first(where: { $0.chunks.contains(chunk) }) {
                let end = min(segment.chunks.upperBound, chunks.upperBound)
                parts.append(
                    .memory(segment, range: clamp(range, to: chunk..<end, in: block)))
                chunk = end
                continue
            }
            var end = chunk + 1
            while end < chunks.upperBound, (present >> UInt64(end) & 1 == 1) == isPresent,
                !segments.contains(where: { $0.chunks.contains(end) })
            { end += 1 }
            let part = clamp(range, to: chunk..<end, in: block)
            parts.append(
                isPresent
                    ? .disk(block: block, chunks: chunk..<end, range: part)
                    : .missing(block: block, chunks: chunk..<end, range: part))
            chunk = end
        }
        return parts
    }

    private static func clamp(
        _ range: Range<Int64>, to chunks: Range<Int>, in block: Int
    ) -> Range<Int64> {
        let low = BlockRange.start(block: block, chunk: chunks.lowerBound)
        let high = BlockRange.start(block: block, chunk: chunks.upperBound)
        return range.clamped(to: low..<high)
    }

    /// True when each need (bytes) finds a buffer of its own that is large enough.
    static func fits(_ needs: [Int], in buffers: [Buffer]) -> Bool {
        guard needs.count <= buffers.count else { return false }
        let sizes = buffers.map(\.capacity).sorted()
        return zip(needs.sorted(by: >), sizes.reversed()).allSatisfy { $0 <= $1 }
    }

    /// Takes the smallest buffer that fits a part; there must be one.
    static func pick(_ part: ReadPart, _ buffers: inout [Buffer]) -> Buffer {
        let fitting = buffers.indices.filter { buffers[$0].capacity >= part.bytesNeeded }
        let best = fitting.min { buffers[$0].capacity < buffers[$1].capacity }!
        return buffers.remove(at: best)
    }
}
