// One ranged GetObject that fills a run of segments.
//
// Locks: `state`, a leaf. The bytes are copied without a lock: only the store's one thread for this
// request writes, and the segments tell others only of bytes that are there.

import Buffers
import S3
import Scheduling
import Synchronization

/// A GET under way.
final class Fetch: GetReceiver {
    let content: ObjectContent
    let segments: [Segment]
    private let context: ReadContext
    private let onHead: (@Sendable (ObjectHead) -> Void)?
    private let onFinish: (@Sendable (Result<Void, StoreError>) -> Void)?
    private let state: Mutex<State>

    private struct State: ~Copyable {
        /// While it runs: the call holds this receiver.
        var call: (any Cancellable)?
        var isCancelled = false
        var isFinished = false
        /// The segments' memory; each is let go when its segment is complete, so that a long request
        /// does not hold on to what was read already.
        var buffers: [Buffer?]
        var started = Duration.zero
        var firstByte: Duration?
        /// The segment that takes the next byte, and how much of it is there.
        var index = 0
        var filled = 0
    }

    /// - Parameter segments: contiguous and not empty, just made (nothing filled).
    init(
        context: ReadContext, content: ObjectContent, segments: [Segment],
        onHead: (@Sendable (ObjectHead) -> Void)? = nil,
        onFinish: (@Sendable (Result<Void, StoreError>) -> Void)? = nil
    ) {
        self.context = context
        self.content = content
        self.segments = segments
        self.onHead = onHead
        self.onFinish = onFinish
        state = Mutex(State(buffers: segments.map(\.buffer)))
    }

    /// The object's bytes it asks for.
    var range: Range<Int64> { segments[0].start..<segments[segments.count - 1].end }

    /// Sends the request.
    func start() {
        context.fetchedBytes.add(Int64(range.count), ordering: .relaxed)
        let version = content.version
        let now = context.scheduler.now
        state.withLock { $0.started = now }
        let isWhole = range == 0..<version.size
        let call = context.store.get(
            GetRequest(key: version.key, range: isWhole ? nil : range, ifMatch: version.etag),
            receiver: self)
        let cancelNow = state.withLock { state in
            if !state.isFinished { state.call = call }
            return state.isCancelled
        }
        if cancelNow { call.cancel() }
    }

    /// Gives the request up if no read wants its bytes any more.
    func cancelIfUnwanted() {
        guard content.abandon(segments) else { return }
        let call = state.withLock { state in
            state.isCancelled = true
            return state.call
        }
        call?.cancel()
    }

    func receive(head: ObjectHead) {
        let now = context.scheduler.now
        state.withLock { $0.firstByte = now }
        onHead?(head)
    }

    func receive(bytes: UnsafeRawBufferPointer, at offset: Int64) {
        // Whoever lies about the place of a byte is stopped here: nothing is written out of order.
        var (index, filled) = state.withLock { ($0.index, $0.filled) }
        var rest = unsafe bytes
        guard index < segments.count, segments[index].start + Int64(filled) == offset else {
            return
        }
        while rest.count > 0, index < segments.count {
            let segment = segments[index]
            guard let buffer = state.withLock({ $0.isFinished ? nil : $0.buffers[index] }) else {
                return
            }
            let count = min(rest.count, segment.count - filled)
            unsafe buffer.pointer.advanced(by: filled).copyMemory(
                from: rest.baseAddress!, byteCount: count)
            filled += count
            unsafe rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            let isComplete = filled == segment.count
            if isComplete {
                state.withLock { $0.buffers[index] = nil }
                index += 1
                filled = 0
            }
            wake(content.advance(segment, by: count))
            if isComplete { context.completed(segment, of: content) }
        }
        state.withLock { state in
            state.index = index
            state.filled = filled
        }
    }

    func finish(_ result: Result<Void, StoreError>) {
        let now = context.scheduler.now
        let (isComplete, started, firstByte) = state.withLock { state in
            state.isFinished = true
            state.call = nil
            state.buffers = []
            return (state.index == segments.count, state.started, state.firstByte)
        }
        if isComplete, let firstByte {
            context.link.measured(
                bytes: Int64(range.count), wait: firstByte - started, flow: now - firstByte)
        }
        var outcome = result
        if case .success = result, !isComplete {
            outcome = .failure(
                StoreError(
                    kind: .malformedResponse, operation: "GetObject",
                    message: "the body ended before the range did"))
        }
        if case .failure(let error) = outcome {
            for waiter in content.fail(segments) { waiter.failed(error) }
            context.contents.dropIfUnused(content)
        }
        onFinish?(outcome)
    }

    private func wake(_ waiters: [any SegmentWaiter]) {
        for waiter in waiters { waiter.partArrived() }
    }
}
