import Buffers
import Testing

@testable import FileSystem

@Suite struct ReadPlanTests {
    private func segment(_ chunks: Range<Int>, size: Int64, _ pool: BufferPool) -> Segment {
        let buffer = pool.tryTake(fitting: chunks.count * Int(BlockRange.chunkSize))!
        return Segment(block: 1, chunks: chunks, objectSize: size, buffer: buffer)
    }

    /// A random cover of a block, chunk by chunk: in memory, on disk, both or nowhere.
    @Test func partsAreInOrderWithoutGapAndFromTheRightPlace() {
        let pool = BufferPool(limit: 256 << 20)
        for seed in UInt64(1)...2_000 {
            var random = TestRandom(seed: seed)
            let size = BlockRange.blockSize + 1 + Int64(random.next(below: 1 << 20))
            let last = BlockRange.chunks(of: 0..<size, in: 1).upperBound
            var segments: [Segment] = []
            var chunk = random.next(below: 8)
            while chunk < last {
                let end = min(last, chunk + 1 + random.next(below: 12))
                if random.next(below: 2) == 0 {
                    segments.append(segment(chunk..<end, size: size, pool))
                }
                chunk = end + random.next(below: 4)
            }
            segments.shuffle(using: &random)
            let present = random.next() & random.next() | random.next()
            let low = BlockRange.blockSize + Int64(random.next(below: Int(size) - (1 << 20)))
            let high = low + 1 + Int64(random.next(below: Int(size - low)))

            var position = low
            let parts = ReadPlan.parts(of: low..<high, block: 1, segments: segments) { present }
            for part in parts {
                #expect(part.range.lowerBound == position, "seed \(seed)")
                position = part.range.upperBound
                switch part {
                case .memory(let segment, let range):
                    #expect(range.lowerBound >= segment.start, "seed \(seed)")
                    #expect(range.upperBound <= segment.end, "seed \(seed)")
                case .disk(_, let chunks, let range):
                    #expect(chunks == BlockRange.chunks(of: range, in: 1), "seed \(seed)")
                    #expect(present & BlockRange.mask(chunks) == BlockRange.mask(chunks))
                    #expect(!segments.contains { $0.chunks.overlaps(chunks) }, "seed \(seed)")
                case .missing(_, let chunks, let range):
                    #expect(chunks == BlockRange.chunks(of: range, in: 1), "seed \(seed)")
                    #expect(present & BlockRange.mask(chunks) == 0, "seed \(seed)")
                    #expect(!segments.contains { $0.chunks.overlaps(chunks) }, "seed \(seed)")
                }
            }
            #expect(position == high, "seed \(seed)")
        }
    }

    @Test func buffersAreSharedOutBySize() {
        let pool = BufferPool(limit: 64 << 20)
        for seed in UInt64(1)...500 {
            var random = TestRandom(seed: seed)
            var buffers = (0..<random.next(below: 5)).map { _ in
                pool.tryTake(fitting: random.next(below: 2) == 0 ? 1 : 1 << 20)!
            }
            let parts: [ReadPart] = (0..<random.next(below: 5)).map { _ in
                let chunks = 0..<(1 + random.next(below: 64))
                return .missing(block: 0, chunks: chunks, range: 0..<1)
            }
            let small = buffers.filter { $0.capacity == BufferPool.smallSize }.count
            let largeNeeds = parts.filter { $0.bytesNeeded > BufferPool.smallSize }.count
            let isPossible = parts.count <= buffers.count && largeNeeds <= buffers.count - small
            #expect(ReadPlan.fits(parts.map(\.bytesNeeded), in: buffers) == isPossible)
            guard isPossible else { continue }
            for part in parts {
                #expect(ReadPlan.pick(part, &buffers).capacity >= part.bytesNeeded)
            }
        }
    }
}
