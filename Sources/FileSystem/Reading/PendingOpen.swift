// The open of a file, up to its first byte.
//
// Where nothing of the object is at hand the first bytes are asked for at open, and the open is
// answered when they begin to arrive: the read that follows needs no round trip of its own, and an
// object that was replaced shows in time. ESTALE then makes the kernel look the name up anew and
// open what is there now (open(2) is retried once with fresh names), so the application notices
// nothing.
//
// Locks: `isDone`, an atomic; the first outcome counts.

import Buffers
import S3
import Synchronization

/// An open that waits for the object's first bytes.
final class PendingOpen: SegmentWaiter {
    private let context: ReadContext
    private let content: ObjectContent
    private let onHead: @Sendable (ObjectHead) -> Void
    private let then: @Sendable (StoreError?) -> Void
    private let isDone = Atomic<Bool>(false)

    /// - Parameters:
    ///   - onHead: told what the server says of the object, if it is asked.
    ///   - then: called once, with the reason if the object cannot be opened.
    init(
        context: ReadContext, content: ObjectContent,
        onHead: @escaping @Sendable (ObjectHead) -> Void,
        then: @escaping @Sendable (StoreError?) -> Void
    ) {
        self.context = context
        self.content = content
        self.onHead = onHead
        self.then = then
    }

    /// Begins; done before it returns if the first bytes are at hand.
    func start() {
        let first = 0..<min(content.version.size, BlockRange.blockSize)
        guard !first.isEmpty else { return conclude(nil) }
        guard !content.covers(0..<1) else { return wait() }
        context.takeBuffers(content.needs(first)) { [self] buffers in
            var buffers = buffers
            let fresh = content.guess(first, buffers: &buffers).fresh
            for run in ReadOperation.runs(of: fresh) {
                Fetch(context: context, content: content, segments: run, onHead: onHead).start()
            }
            wait()
        }
    }

    private func wait() {
        if !content.waitForFirstByte(self) { conclude(nil) }
    }

    func partArrived() { conclude(nil) }

    func failed(_ error: StoreError) {
        // A guess that was given up just now: the read will ask again.
        conclude(error.kind == .cancelled ? nil : error)
    }

    private func conclude(_ error: StoreError?) {
        guard !isDone.exchange(true, ordering: .acquiringAndReleasing) else { return }
        then(error)
    }
}
