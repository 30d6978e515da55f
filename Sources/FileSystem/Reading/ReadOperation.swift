// One read, from the request to the answer.
//
// Plan (which bytes are in memory, on disk, nowhere) -> enter the gate and take buffers if memory is
// needed -> claim -> fetch and wait -> read the disk -> answer. A part that turns out damaged or
// dropped on the way starts the plan anew.
//
// Locks: `state`, a leaf.

import BlockStore
import Buffers
import Operations
import S3
import Scheduling
import Synchronization

/// A read under way.
final class ReadOperation: SegmentWaiter {
    private let context: ReadContext
    private let content: ObjectContent
    private let range: Range<Int64>
    private let reply: Reply<ReadAnswer>
    private let onFailure: @Sendable (StoreError) -> Void
    private let state = Mutex(State())

    /// A plan is begun anew at most so often before the read fails. Each time something real came in
    /// between (a guess given up, a damaged block dropped), and what a read asks for itself is not
    /// given up: the bound only keeps a bug from running for ever.
    private static let attemptLimit = 100

    private struct State: ~Copyable {
        var parts: [ReadPart] = []
        /// Buffers of the disk parts, in the order of the parts.
        var spare: [Buffer] = []
        /// Parts on their way, and one for the thread that still counts them.
        var waiting = 0
        var error: StoreError?
        var attempts = 0
        /// What was taken at the gate, in bytes.
        var admitted: Int?
    }

    /// - Parameters:
    ///   - range: non-empty, within the object.
    ///   - onFailure: told why the store failed, before the answer.
    init(
        context: ReadContext, content: ObjectContent, range: Range<Int64>,
        reply: Reply<ReadAnswer>, onFailure: @escaping @Sendable (StoreError) -> Void
    ) {
        self.context = context
        self.content = content
        self.range = range
        self.reply = reply
        self.onFailure = onFailure
    }

    /// Begins, and answers before it returns if everything is at hand.
    func start() { claim(with: []) }

    private func claim(with buffers: [Buffer]) {
        var spare = buffers
        switch content.claim(range, buffers: &spare) {
        case .needs(let sizes):
            takeMemory(sizes)
        case .parts(let parts, let fresh):
            proceed(parts, fresh: fresh, spare: spare)
        }
    }

    /// Passes the gate, takes buffers and claims with them: on this thread when there is no wait, else
    /// on one of the scheduler's (the thread that gives memory back is not the one to go on with).
    private func takeMemory(_ sizes: [Int]) {
        let handOver = HandOver(context.scheduler)
        enterGate { [self] in
            handOver.run { [self] in
                context.takeBuffers(sizes) { [self] taken in claim(with: taken) }
            }
        }
        handOver.isInline.store(false, ordering: .releasing)
    }

    /// Runs work at once while its maker is still on the stack, else through the scheduler.
    private final class HandOver: Sendable {
        let isInline = Atomic<Bool>(true)
        private let scheduler: any Scheduler

        init(_ scheduler: any Scheduler) { self.scheduler = scheduler }

        func run(_ work: @escaping @Sendable () -> Void) {
            if isInline.load(ordering: .acquiring) { work() } else { scheduler.run(work) }
        }
    }

    /// Passes the gate, once.
    private func enterGate(_ then: @escaping @Sendable () -> Void) {
        if state.withLock({ $0.admitted != nil }) { return then() }
        let blocks = BlockRange.blocks(of: range)
        let need = blocks.count * Int(BlockRange.blockSize)
        context.gate.enter(need: need) { [self] in
            state.withLock { $0.admitted = need }
            then()
        }
    }

    private func proceed(_ parts: [ReadPart], fresh: [Segment], spare: [Buffer]) {
        state.withLock { state in
            state.parts = parts
            state.spare = spare
            // As if all were on their way: parts may arrive before they are counted.
            state.waiting = parts.count + 1
            state.error = nil
        }
        let waiting = content.wait(self, for: parts)
        for run in Self.runs(of: fresh) {
            Fetch(context: context, content: content, segments: run).start()
        }
        if countDown(by: parts.count - waiting + 1) { finishHere() }
    }

    /// One part less to wait for.
    func partArrived() {
        guard countDown(by: 1) else { return }
        let usesDisk = state.withLock { !$0.spare.isEmpty }
        if usesDisk || range.count >= ReadContext.largeAnswer {
            context.scheduler.run { [self] in finish() }
        } else {
            finish()
        }
    }

    private func countDown(by count: Int) -> Bool {
        state.withLock { state in
            state.waiting -= count
            return state.waiting == 0
        }
    }

    /// Finishes on the caller's thread, unless too many of its kind wait for the disk already.
    private func finishHere() {
        let usesDisk = state.withLock { !$0.spare.isEmpty }
        guard usesDisk else { return finish() }
        let count = context.inlineDiskReads.add(1, ordering: .relaxed).newValue
        if count <= ReadContext.inlineDiskReadLimit {
            finish()
        } else {
            context.scheduler.run { [self] in finish() }
        }
        context.inlineDiskReads.subtract(1, ordering: .relaxed)
    }

    /// A part will not come.
    func failed(_ error: StoreError) {
        state.withLock { state in
            if state.error == nil { state.error = error }
        }
        partArrived()
    }

    // MARK: The end

    private func finish() {
        let (parts, buffers, error) = state.withLock { ($0.parts, $0.spare, $0.error) }
        if let error { return conclude(error) }
        var spare = buffers
        var pieces: [ReadAnswer.Piece] = []
        let memory = content.memory(of: parts)
        for (index, part) in parts.enumerated() {
            switch part {
            case .memory(let segment, let range):
                guard let buffer = memory[index] else { return startAnew() }
                pieces.append(
                    ReadAnswer.Piece(
                        buffer: buffer, offset: Int(range.lowerBound - segment.start),
                        count: range.count))
            case .disk(let block, let chunks, let range):
                let buffer = ReadPlan.pick(part, &spare)
                let isRead =
                    unsafe content.cached?.read(
                        block: block, chunks: chunks, into: buffer.pointer) ?? false
                guard isRead else { return startAnew() }
                let base = BlockRange.start(block: block, chunk: chunks.lowerBound)
                pieces.append(
                    ReadAnswer.Piece(
                        buffer: buffer, offset: Int(range.lowerBound - base), count: range.count))
            case .missing:
                return startAnew()
            }
        }
        context.servedBytes.add(Int64(range.count), ordering: .relaxed)
        reply.succeed(ReadAnswer(pieces: pieces))
        release(served: true)
    }

    /// Something that was planned on is gone: a damaged block on disk.
    private func startAnew() {
        let attempts = state.withLock { state in
            state.attempts += 1
            return state.attempts
        }
        guard attempts < Self.attemptLimit else {
            return conclude(
                StoreError(
                    kind: .other, operation: "GetObject",
                    message: "the local cache keeps failing for this object"))
        }
        let parts = takeParts()
        context.idle(content.unpin(parts, served: false), of: content)
        claim(with: [])
    }

    private func conclude(_ error: StoreError) {
        // A guess that was given up while this read had just begun to wait for it.
        if error.kind == .cancelled { return startAnew() }
        let seen = error.asSeenByReader
        onFailure(seen)
        reply.fail(Failure(seen).errno)
        release(served: false)
    }

    private func release(served: Bool) {
        context.idle(content.unpin(takeParts(), served: served), of: content)
        let admitted = state.withLock { state in
            let admitted = state.admitted
            state.admitted = nil
            return admitted
        }
        if let admitted { context.gate.leave(need: admitted) }
        context.contents.dropIfUnused(content)
    }

    private func takeParts() -> [ReadPart] {
        state.withLock { state in
            let parts = state.parts
            state.parts = []
            state.spare = []
            return parts
        }
    }

    /// Groups segments into runs without a gap: one request each.
    static func runs(of segments: [Segment]) -> [[Segment]] {
        var runs: [[Segment]] = []
        for segment in segments {
            if let last = runs.last?.last, last.end == segment.start {
                runs[runs.count - 1].append(segment)
            } else {
                runs.append([segment])
            }
        }
        return runs
    }
}
