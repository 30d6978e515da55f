// Carries out what a handle's streams advise: takes memory for the guess and sends the requests.
// Never waits: where memory is short the guess is shorter.
//
// Locks: `state`, one per handle. Taken for the arithmetic only.

import Buffers
import Scheduling
import Synchronization

/// Fetches ahead of the reads of one handle.
final class Prefetcher: Sendable {
    private let context: ReadContext
    private let content: ObjectContent
    private let state = Mutex(State())

    private struct State: ~Copyable {
        var streams = ReadStreams()
        var rate = ReadRate()
        var fetches: [ObjectIdentifier: Fetch] = [:]
        var isActive = false
        var isClosed = false
    }

    init(context: ReadContext, content: ObjectContent) {
        self.context = context
        self.content = content
    }

    /// Takes note of a read and fetches ahead of it.
    func advance(_ range: Range<Int64>) {
        let others = context.activeStreams.load(ordering: .relaxed)
        let share = Int64(context.pool.guessLimit) / Int64(max(others, 1))
        let latency = context.link.largestRequest
        let now = context.scheduler.now
        let advice = state.withLock { state -> ReadStreams.Advice? in
            guard !state.isClosed else { return nil }
            state.rate.advance(Int64(range.count), now: now)
            let limit = Self.window(rate: state.rate.value, latency: latency, share: share)
            let advice = state.streams.advance(
                offset: range.lowerBound, count: Int64(range.count), size: content.version.size,
                limit: limit)
            if advice != nil, !state.isActive {
                state.isActive = true
                context.activeStreams.add(1, ordering: .relaxed)
            }
            return advice
        }
        guard let advice else { return }
        let end = follow(advice)
        if end < advice.range.upperBound {
            state.withLock { $0.streams.shorten(advice, to: end) }
        }
    }

    /// The window a reader needs: twice what it reads while a request is under way, so that a reader
    /// whom the window holds back gets more of it, and some requests' worth on top.
    static func window(rate: Double?, latency: Duration?, share: Int64) -> Int64 {
        guard let rate, let latency else { return min(share, firstWindow) }
        let bridged = rate * (latency / .seconds(1)) * 2
        guard bridged < Double(share) else { return share }
        return min(share, Int64(bridged) + 2 * ReadStreams.largestRequest)
    }

    /// The largest window while nothing was measured, in bytes.
    private static let firstWindow: Int64 = 64 << 20

    /// Sends the requests of an advice. Returns the end of what is at hand or on its way.
    private func follow(_ advice: ReadStreams.Advice) -> Int64 {
        var position = advice.range.lowerBound
        while position < advice.range.upperBound {
            position = content.coveredEnd(from: position, limit: advice.range.upperBound)
            guard position < advice.range.upperBound else { break }
            let blockSize = BlockRange.blockSize
            let end = min(
                (position + advice.request) / blockSize * blockSize, advice.range.upperBound)
            var buffers: [Buffer] = []
            for size in content.needs(position..<end) {
                guard let buffer = context.takeForGuess(size) else { break }
                buffers.append(buffer)
            }
            let guess = content.guess(position..<end, buffers: &buffers)
            for run in ReadOperation.runs(of: guess.fresh) { send(run) }
            if guess.end < end { return guess.end }
            position = end
        }
        return advice.range.upperBound
    }

    private func send(_ segments: [Segment]) {
        // The fetch is named by the first of its segments, which lives as long as it does.
        let name = ObjectIdentifier(segments[0])
        let fetch = Fetch(
            context: context, content: content, segments: segments,
            onFinish: { [weak self] _ in self?.state.withLock { $0.fetches[name] = nil } })
        state.withLock { $0.fetches[name] = fetch }
        fetch.start()
    }

    /// The handle is closed: what is on its way for nobody is given up, what nobody read is dropped.
    func close() {
        let (fetches, unread) = state.withLock { state in
            if state.isActive { context.activeStreams.subtract(1, ordering: .relaxed) }
            state.isActive = false
            state.isClosed = true
            return (Array(state.fetches.values), state.streams.unread)
        }
        for fetch in fetches { fetch.cancelIfUnwanted() }
        for range in unread { content.dropUnread(range) }
    }
}
