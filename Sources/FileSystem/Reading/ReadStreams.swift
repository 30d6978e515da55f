// Which reads of a handle belong together, and how far ahead of each it is worth fetching.
// Pure arithmetic: no clock, no lock, no request.

/// The sequential streams in the reads of one handle.
///
/// The window ahead of a stream grows with what the stream has read, so that a reader that stops
/// early has cost at most a few times what it used, and a reader that goes on soon has the whole
/// allowance in flight.
struct ReadStreams {
    /// One reader's run through the object.
    struct Stream {
        /// The end of what was read.
        var next: Int64
        /// The end of what was asked for.
        var frontier: Int64
        /// Bytes read in sequence.
        var consumed: Int64
        var lastUse: Int
    }

    /// As many streams are told apart in one handle.
    static let streamLimit = 4
    /// Bytes in sequence before anything is fetched ahead.
    static let threshold: Int64 = 256 << 10
    /// The window is this many times what was read in sequence.
    static let growth: Int64 = 4
    /// The largest request, in bytes.
    static let largestRequest: Int64 = 8 << 20

    private(set) var streams: [Stream] = []
    private var clock = 0

    /// What to fetch ahead after a read.
    struct Advice: Equatable {
        /// Bytes to have on the way; ends at a block's end or the object's.
        var range: Range<Int64>
        /// How the range is best cut into requests, in bytes: a multiple of the block.
        var request: Int64
    }

    /// Takes note of a read.
    ///
    /// - Parameters:
    ///   - offset: of the read; `count` its bytes, at least 1, within the object.
    ///   - size: the object's.
    ///   - limit: the largest window allowed now, in bytes.
    /// - Returns: nil when nothing should be fetched ahead now.
    mutating func advance(offset: Int64, count: Int64, size: Int64, limit: Int64) -> Advice? {
        clock += 1
        guard let index = match(offset: offset, count: count) else {
            insert(
                Stream(
                    next: offset + count, frontier: offset + count, consumed: count,
                    lastUse: clock))
            return nil
        }
        var stream = streams[index]
        let end = offset + count
        if end > stream.next {
            stream.consumed += min(count, end - stream.next)
            stream.next = end
        }
        stream.lastUse = clock
        stream.frontier = max(stream.frontier, stream.next)
        defer { streams[index] = stream }
        guard stream.consumed >= Self.threshold else { return nil }

        let window = min(limit, stream.consumed * Self.growth)
        let wanted = stream.next + window
        let blockSize = BlockRange.blockSize
        let target = wanted >= size ? size : wanted / blockSize * blockSize
        let request = max(
            blockSize, min(Self.largestRequest, window / 4 / blockSize * blockSize))
        // Whole requests only, or what is left of the object: no dribble of small ones.
        guard target > stream.frontier, target == size || target - stream.frontier >= request
        else { return nil }
        let range = stream.frontier..<target
        stream.frontier = target
        return Advice(range: range, request: request)
    }

    /// Not all of an advice could be followed: its stream goes on from `end`.
    mutating func shorten(_ advice: Advice, to end: Int64) {
        for index in streams.indices where streams[index].frontier == advice.range.upperBound {
            streams[index].frontier = max(end, streams[index].next)
        }
    }

    /// What was fetched ahead and not read yet.
    var unread: [Range<Int64>] {
        streams.filter { $0.frontier > $0.next }.map { $0.next..<$0.frontier }
    }

    private func match(offset: Int64, count: Int64) -> Int? {
        var best: (index: Int, distance: Int64)?
        for (index, stream) in streams.enumerated() {
            // The kernel sends the pieces of its readahead at once and they arrive in any order; an
            // accidental neighbour must not look like a sequence.
            let slack = stream.consumed >= 1 << 20 ? 4 << 20 : count + (128 << 10)
            let distance = abs(offset - stream.next)
            if distance <= slack, distance < best?.distance ?? .max { best = (index, distance) }
        }
        return best?.index
    }

    private mutating func insert(_ stream: Stream) {
        if streams.count < Self.streamLimit {
            streams.append(stream)
        } else {
            let oldest = streams.indices.min { streams[$0].lastUse < streams[$1].lastUse }!
            streams[oldest] = stream
        }
    }
}
