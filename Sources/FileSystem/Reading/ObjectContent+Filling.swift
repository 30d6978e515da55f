// How the segments of an object version fill, rest, and go: the fetches' and the evictions' side of
// ObjectContent. Wakes nobody itself: callers are told who waits, and wake them outside the lock.
//
// Locks: as ObjectContent.

import BlockStore
import Buffers
import S3
import Synchronization

extension ObjectContent {
    /// More bytes of a segment are there. Returns the reads that need wait no longer.
    func advance(_ segment: Segment, by count: Int) -> [any SegmentWaiter] {
        state.withLock { _ in
            segment.filled += count
            guard !segment.waiters.isEmpty else { return [] }
            let filled = segment.filled
            let ready = segment.waiters.filter { $0.need <= filled }.map(\.waiter)
            if !ready.isEmpty { segment.waiters.removeAll { $0.need <= filled } }
            return ready
        }
    }

    /// A segment is complete. Returns its buffer when it should be written to the block store (the
    /// segment then waits for `stored`).
    func complete(_ segment: Segment, store: Bool) -> Buffer? {
        state.withLock { _ in
            guard store, cached != nil, let buffer = segment.buffer else { return nil }
            segment.isStoring = true
            return buffer
        }
    }

    /// The block store has done with a segment, or there is none. Returns it if it is idle now.
    func settled(_ segment: Segment) -> [IdleSegment] {
        state.withLock { state in
            var idle: [IdleSegment] = []
            segment.isStoring = false
            settle(segment, &idle, &state)
            return idle
        }
    }

    /// Drops segments that will not be filled. Returns the reads that waited for them.
    func fail(_ segments: [Segment]) -> [any SegmentWaiter] {
        state.withLock { state in
            var waiting: [any SegmentWaiter] = []
            for segment in segments where !segment.isComplete {
                waiting += segment.waiters.map(\.waiter)
                segment.waiters.removeAll()
                remove(segment, &state)
            }
            return waiting
        }
    }

    /// Drops the incomplete segments among these if no read wants any of them.
    ///
    /// - Returns: true when they were dropped: their fetch can be cancelled.
    func abandon(_ segments: [Segment]) -> Bool {
        state.withLock { state in
            let isWanted = segments.contains {
                !$0.isComplete && ($0.pins > 0 || !$0.waiters.isEmpty)
            }
            guard !isWanted else { return false }
            for segment in segments where !segment.isComplete { remove(segment, &state) }
            return true
        }
    }

    /// Ends a read's hold on its memory parts.
    ///
    /// - Parameter served: true when their bytes were answered.
    /// - Returns: segments that are idle now.
    func unpin(_ parts: [ReadPart], served: Bool) -> [IdleSegment] {
        state.withLock { state in
            var idle: [IdleSegment] = []
            for case .memory(let segment, let range) in parts {
                segment.pins -= 1
                if served { segment.served += range.count }
                settle(segment, &idle, &state)
            }
            return idle
        }
    }

    /// Drops an idle segment to win its memory. False when it is in use again, or gone.
    func evict(_ segment: Segment, ticket: Int) -> Bool {
        state.withLock { state in
            guard segment.idleTicket == ticket, segment.isIdle else { return false }
            remove(segment, &state)
            return true
        }
    }

    /// Drops what a broken guess left behind: idle segments in the range that nobody has read.
    func dropUnread(_ range: Range<Int64>) {
        state.withLock { state in
            for segment in state.blocks.values.flatMap({ $0 })
            where segment.isIdle && segment.served == 0
                && range.overlaps(segment.start..<segment.end)
            { remove(segment, &state) }
        }
    }

    // MARK: Under the lock

    /// A segment that was released: dropped when it has done its work and is on disk, else idle.
    private func settle(
        _ segment: Segment, _ idle: inout [IdleSegment], _ state: inout State
    ) {
        guard segment.isIdle else { return }
        if segment.isConsumed, let cached {
            let mask = BlockRange.mask(segment.chunks)
            if cached.present(block: segment.block) & mask == mask {
                remove(segment, &state)
                return
            }
        }
        segment.idleTicket += 1
        idle.append(
            IdleSegment(
                segment: segment, ticket: segment.idleTicket, isConsumed: segment.isConsumed))
    }

    private func remove(_ segment: Segment, _ state: inout State) {
        guard var list = state.blocks[segment.block],
            let index = list.firstIndex(where: { $0 === segment })
        else { return }
        list.remove(at: index)
        state.blocks[segment.block] = list.isEmpty ? nil : list
        state.segments -= 1
        segment.buffer = nil
    }
}
