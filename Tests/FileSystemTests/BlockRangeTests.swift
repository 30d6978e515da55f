import Testing

@testable import FileSystem

@Suite struct BlockRangeTests {
    @Test func chunksOfARangeCoverItAndNoMore() {
        var generator = SystemRandomNumberGenerator()
        let seed = UInt64.random(in: 0 ... .max, using: &generator)
        var random = TestRandom(seed: seed)
        for _ in 0..<5_000 {
            let low = Int64(random.next(below: 5 << 20))
            let range = low..<(low + 1 + Int64(random.next(below: 3 << 20)))
            var covered: Int64 = 0
            for block in BlockRange.blocks(of: range) {
                let chunks = BlockRange.chunks(of: range, in: block)
                #expect(!chunks.isEmpty, "seed \(seed)")
                let start = BlockRange.start(block: block, chunk: chunks.lowerBound)
                let end = BlockRange.start(block: block, chunk: chunks.upperBound)
                let inside = range.clamped(to: start..<end)
                covered += Int64(inside.count)
                // No chunk more than the range touches.
                #expect(start + BlockRange.chunkSize > inside.lowerBound, "seed \(seed)")
                #expect(end - BlockRange.chunkSize < inside.upperBound, "seed \(seed)")
            }
            #expect(covered == Int64(range.count), "seed \(seed) range \(range)")
        }
    }

    @Test func chunksOutsideTheBlockAreEmpty() {
        #expect(BlockRange.chunks(of: 0..<100, in: 1).isEmpty)
        #expect(BlockRange.chunks(of: (1 << 20)..<(1 << 20) + 1, in: 0).isEmpty)
        #expect(BlockRange.chunks(of: (1 << 20)..<(1 << 20) + 1, in: 1) == 0..<1)
    }

    @Test(arguments: [(0..<0, 0), (0..<1, 1), (1..<3, 6), (0..<64, UInt64.max), (63..<64, 1 << 63)])
    func masks(_ chunks: Range<Int>, _ mask: UInt64) {
        #expect(BlockRange.mask(chunks) == mask)
    }
}

/// A small seeded generator (SplitMix64), so that a failing property can be run again.
struct TestRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func next(below limit: Int) -> Int { Int(next() % UInt64(limit)) }
}
