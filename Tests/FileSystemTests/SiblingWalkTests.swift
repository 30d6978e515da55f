import Testing

@testable import FileSystem

@Suite struct SiblingWalkTests {
    /// Plays opens against a walk. Returns the guesses never opened, the most that were outstanding, and
    /// the opens that had been guessed.
    ///
    /// - Parameter isFile: whether the name at an index is a small file, worth a guess.
    private func play(
        _ opens: [Int], files: Int, isFile: (Int) -> Bool = { _ in true }
    ) -> (wasted: Int, most: Int, hits: Int) {
        var walk = SiblingWalk()
        var wasted = 0
        var most = 0
        var hits = 0
        for index in opens {
            if walk.outstanding.contains(index) { hits += 1 }
            let before = walk.outstanding.subtracting([index]).count
            switch walk.opened(index) {
            case .none: break
            case .broken: wasted += before
            case .guess(let from, let count):
                let indices = (from..<from + count).filter { $0 < files && isFile($0) }
                walk.guessed(indices, end: from + count)
            }
            most = max(most, walk.outstanding.count)
        }
        return (wasted + walk.outstanding.count, most, hits)
    }

    @Test func aWalkInOrderIsGuessedAlmostWhole() {
        let result = play(Array(0..<2000), files: 2000)
        #expect(result.wasted == 0)
        #expect(result.hits > 1_990)
    }

    @Test func aWalkThatStopsWastesATenthAtMost() {
        for length in 2...1_500 {
            let result = play(Array(0..<length), files: 100_000)
            #expect(result.wasted <= max(SiblingWalk.falseStart, length / 10), "length \(length)")
        }
    }

    @Test func aFalseStartCostsEightFilesAtMost() {
        let result = play([5, 6, 500, 900, 1_300, 200], files: 2000)
        #expect(result.most <= SiblingWalk.falseStart)
        #expect(result.wasted <= SiblingWalk.falseStart)
    }

    @Test func opensAtRandomAreNotGuessed() {
        var wasted = 0
        for seed in UInt64(1)...20 {
            var random = TestRandom(seed: seed)
            let opens = (0..<500).map { _ in random.next(below: 100_000) }
            wasted += play(opens, files: 100_000).wasted
        }
        #expect(wasted <= 20 * SiblingWalk.falseStart)
    }

    @Test func parallelReadersInRoughOrderAreOneWalk() {
        var random = TestRandom(seed: 3)
        // Sixteen readers take the next file each; they overtake each other a little.
        var opens = Array(0..<2000)
        for base in Swift.stride(from: 0, to: 2000, by: 16) {
            opens[base..<base + 16].shuffle(using: &random)
        }
        let result = play(opens, files: 2000)
        #expect(result.hits > 1_500)
        #expect(result.wasted <= 200)
    }

    @Test func aWalkPastOtherNamesGoesOn() {
        // Every second name is something else (a directory, a larger file).
        let opens = Array(stride(from: 0, to: 2000, by: 2))
        let result = play(opens, files: 2000, isFile: { $0 % 2 == 0 })
        #expect(result.hits > 900)
        #expect(result.wasted == 0)
    }

    @Test func aReaderOfEverySecondFileIsNotFedTheOthers() {
        let result = play(Array(stride(from: 0, to: 2000, by: 2)), files: 2000)
        #expect(result.wasted <= 100)
    }
}
