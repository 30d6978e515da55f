// When files of a directory are opened one after another in listing order, which ones come next.
// Pure arithmetic: no clock, no lock, no request.

/// One directory's walk: the order in which its files are opened.
///
/// How many files are guessed ahead follows from what a wrong guess may cost: at most
/// `falseStart` files when the walk has hardly begun, at most a tenth of the files already read later.
struct SiblingWalk {
    /// Guesses outstanding at most before a walk has proved itself.
    static let falseStart = 8
    /// Guesses outstanding at most.
    static let most = 64
    /// Opens in order before the first guess.
    static let proof = 2
    /// An open this far ahead of the last one still counts as the next (others opened between, or a
    /// filter skipped some).
    static let stride = 4
    /// Parallel readers open a little out of order.
    static let disorder = 32
    /// Opens out of line, one after another, that end the walk.
    static let patience = 3

    /// Highest index opened in order; nil before the first open.
    private(set) var last: Int?
    private(set) var run = 0
    private(set) var misses = 0
    /// The first index that was not considered for a guess yet.
    private(set) var frontier = 0
    /// Indices that were guessed and not opened yet.
    private(set) var outstanding: Set<Int> = []

    /// What an open means.
    enum Step: Equatable {
        /// Nothing to guess.
        case none
        /// Guess up to `count` files from `index` on.
        case guess(index: Int, count: Int)
        /// The pattern broke: drop all guesses.
        case broken
    }

    /// A file was opened.
    mutating func opened(_ index: Int) -> Step {
        let wasGuessed = outstanding.remove(index) != nil
        guard let last else {
            begin(at: index)
            return .none
        }
        let ahead = max(frontier - last, Self.stride)
        if index > last, index <= last + (run >= Self.proof ? ahead + Self.stride : Self.stride) {
            run += 1
            misses = 0
            self.last = index
            frontier = max(frontier, index + 1)
        } else if wasGuessed || (index <= last && index > last - Self.disorder) {
            if index < last, run >= Self.proof { run += 1 }
            misses = 0
        } else {
            misses += 1
            guard misses >= Self.patience || run < Self.proof else { return .none }
            begin(at: index)
            return .broken
        }
        guard run >= Self.proof else { return .none }
        let allowed = min(Self.most, max(Self.falseStart, run / 10))
        let count = allowed - outstanding.count
        // In groups: a guess for each open would check the same state again and again.
        guard count >= max(1, allowed / 4) else { return .none }
        return .guess(index: frontier, count: count)
    }

    /// These files are being fetched; everything before `end` was considered.
    mutating func guessed(_ indices: some Sequence<Int>, end: Int) {
        outstanding.formUnion(indices)
        frontier = max(frontier, end)
    }

    /// A guess came to nothing (its request failed, or its memory was needed).
    mutating func dropped(_ index: Int) { outstanding.remove(index) }

    private mutating func begin(at index: Int) {
        last = index
        run = 1
        misses = 0
        frontier = index + 1
        outstanding = []
    }
}
