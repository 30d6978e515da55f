import Testing

@testable import FileSystem

@Suite struct ReadStreamsTests {
    private let size: Int64 = 1 << 30
    private let limit: Int64 = 192 << 20

    @Test func firstReadFetchesNothingAhead() {
        var streams = ReadStreams()
        #expect(streams.advance(offset: 0, count: 131_072, size: size, limit: limit) == nil)
    }

    @Test func sequentialReadsGrowTheWindowUpToTheLimit() {
        var streams = ReadStreams()
        var frontier: Int64 = 0
        var largest: Int64 = 0
        for offset in stride(from: Int64(0), to: 512 << 20, by: 1 << 20) {
            guard
                let advice = streams.advance(
                    offset: offset, count: 1 << 20, size: size, limit: limit)
            else { continue }
            if frontier > 0 { #expect(advice.range.lowerBound == frontier) }
            frontier = advice.range.upperBound
            let ahead = frontier - (offset + 1 << 20)
            #expect(ahead <= limit)
            #expect(advice.request % (1 << 20) == 0 && advice.request <= 8 << 20)
            largest = max(largest, ahead)
        }
        #expect(largest > limit - (16 << 20))
    }

    @Test func guessesStayAFewTimesWhatWasRead() {
        var streams = ReadStreams()
        var frontier: Int64 = 0
        for offset in stride(from: Int64(0), to: 8 << 20, by: 128 << 10) {
            let advice = streams.advance(
                offset: offset, count: 128 << 10, size: size, limit: limit)
            frontier = max(frontier, advice?.range.upperBound ?? 0)
            let read = offset + 128 << 10
            #expect(frontier - read <= ReadStreams.growth * read)
        }
        #expect(frontier > 16 << 20)
    }

    @Test func randomSmallReadsFetchNothingAhead() {
        for seed in UInt64(1)...50 {
            var random = TestRandom(seed: seed)
            var streams = ReadStreams()
            for _ in 0..<2_000 {
                let offset = Int64(random.next(below: (1 << 30) - 4096)) & ~4095
                let advice = streams.advance(offset: offset, count: 4096, size: size, limit: limit)
                #expect(advice == nil, "seed \(seed)")
            }
        }
    }

    @Test func interleavedStreamsAreToldApart() {
        var streams = ReadStreams()
        var advised = Set<Int64>()
        for step in Int64(0)..<64 {
            for stream in Int64(0)..<3 {
                let offset = stream * (256 << 20) + step * (1 << 20)
                if streams.advance(offset: offset, count: 1 << 20, size: size, limit: limit) != nil
                {
                    advised.insert(stream)
                }
            }
        }
        #expect(advised == [0, 1, 2])
        #expect(streams.streams.count == 3)
    }

    @Test func readaheadPiecesInAnyOrderAreOneStream() {
        var random = TestRandom(seed: 7)
        var streams = ReadStreams()
        var pieces: [Int64] = (0..<256).map { $0 << 20 }
        for base in Swift.stride(from: 0, to: 256, by: 3) {
            pieces[base..<min(base + 3, 256)].shuffle(using: &random)
        }
        for offset in pieces {
            _ = streams.advance(offset: offset, count: 1 << 20, size: size, limit: limit)
        }
        #expect(streams.streams.count == 1)
    }

    @Test func theEndOfTheObjectEndsTheWindow() {
        var streams = ReadStreams()
        let small: Int64 = (5 << 20) + 77
        var end: Int64 = 0
        for offset in stride(from: Int64(0), to: small, by: 128 << 10) {
            let count = min(128 << 10, small - offset)
            let advice = streams.advance(offset: offset, count: count, size: small, limit: limit)
            end = max(end, advice?.range.upperBound ?? 0)
        }
        #expect(end == small)
    }

    @Test func aShortenedAdviceIsGivenAgain() {
        var streams = ReadStreams()
        var advice: ReadStreams.Advice?
        var offset: Int64 = 0
        while advice == nil {
            advice = streams.advance(offset: offset, count: 1 << 20, size: size, limit: limit)
            offset += 1 << 20
        }
        let first = advice!
        streams.shorten(first, to: first.range.lowerBound)
        var again: ReadStreams.Advice?
        while again == nil {
            again = streams.advance(offset: offset, count: 1 << 20, size: size, limit: limit)
            offset += 1 << 20
        }
        #expect(again!.range.lowerBound <= max(first.range.lowerBound, offset))
    }
}
