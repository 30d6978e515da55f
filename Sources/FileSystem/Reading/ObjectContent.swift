// What is at hand of one object version: segments in memory, and the blocks on disk behind them.
// Shared by all handles that are pinned to the version. Never asks the network itself. Here: what is
// planned and claimed; ObjectContent+Filling has how bytes come and go.
//
// Locks: `state`, one per object. Under it only `CachedObject.present` is called (memory). Order:
// ContentTable -> ObjectContent -> (IdleSegments, BufferPool: leaves).

import BlockStore
import Buffers
import S3
import Synchronization

/// The bytes at hand of one object version.
final class ObjectContent: Sendable {
    let version: ObjectVersion
    /// The version's blocks in the block store, if there is one.
    let cached: (any CachedObject)?

    let state = Mutex(State())

    struct State: ~Copyable {
        var blocks: [Int: [Segment]] = [:]
        var segments = 0
        /// Handles and guesses that keep the content in the table.
        var users = 0
    }

    init(version: ObjectVersion, cached: (any CachedObject)?) {
        self.version = version
        self.cached = cached
    }

    // MARK: Users

    func addUser() { state.withLock { $0.users += 1 } }
    func removeUser() { state.withLock { $0.users -= 1 } }
    /// True when nothing keeps it: no handle, no guess, no segment.
    var isUnused: Bool { state.withLock { $0.users == 0 && $0.segments == 0 } }

    // MARK: Looking

    /// True when the whole range is in memory, on its way, or on disk.
    func covers(_ range: Range<Int64>) -> Bool {
        state.withLock { state in
            for part in plan(range, &state) {
                if case .missing = part { return false }
            }
            return true
        }
    }

    /// The end of the stretch from `offset` that needs no fetch, at most `limit`.
    func coveredEnd(from offset: Int64, limit: Int64) -> Int64 {
        guard offset < limit else { return limit }
        return state.withLock { state in
            for block in BlockRange.blocks(of: offset..<limit) {
                for part in plan(offset..<limit, block: block, &state) {
                    if case .missing(_, _, let range) = part { return range.lowerBound }
                }
            }
            return limit
        }
    }

    // MARK: Claiming

    /// What a claim came to.
    enum Claim {
        /// Every part has its memory. Memory parts are pinned; `fresh` segments wait to be fetched.
        case parts([ReadPart], fresh: [Segment])
        /// Buffers of these sizes are needed first (bytes each). Nothing was pinned.
        case needs([Int])
    }

    /// Plans a read and pins what it uses. Missing chunks become segments with the given buffers, and
    /// disk parts keep the buffers left over, in order.
    ///
    /// - Parameters:
    ///   - range: non-empty, within the object.
    ///   - buffers: spare buffers; those used for segments are removed.
    func claim(_ range: Range<Int64>, buffers: inout [Buffer]) -> Claim {
        state.withLock { state in
            var parts = plan(range, &state)
            let needs = parts.map(\.bytesNeeded).filter { $0 > 0 }
            guard ReadPlan.fits(needs, in: buffers) else { return .needs(needs) }
            var fresh: [Segment] = []
            for index in parts.indices {
                switch parts[index] {
                case .memory(let segment, _):
                    segment.pins += 1
                case .disk:
                    break
                case .missing(let block, let chunks, let range):
                    let segment = insert(
                        block: block, chunks: chunks, buffer: ReadPlan.pick(parts[index], &buffers),
                        &state)
                    segment.pins += 1
                    fresh.append(segment)
                    parts[index] = .memory(segment, range: range)
                }
            }
            return .parts(parts, fresh: fresh)
        }
    }

    /// The sizes of buffers that a guess at `range` needs, in order.
    func needs(_ range: Range<Int64>) -> [Int] {
        state.withLock { state in
            plan(range, &state).compactMap {
                if case .missing = $0 { $0.bytesNeeded } else { nil }
            }
        }
    }

    /// Makes segments for the missing chunks of a guess, as far as the buffers go.
    ///
    /// - Returns: the segments in order, and the end of what is now covered from the range's start.
    func guess(
        _ range: Range<Int64>, buffers: inout [Buffer]
    ) -> (fresh: [Segment], end: Int64) {
        state.withLock { state in
            var fresh: [Segment] = []
            for part in plan(range, &state) {
                guard case .missing(let block, let chunks, let range) = part else { continue }
                guard ReadPlan.fits([part.bytesNeeded], in: buffers) else {
                    return (fresh, range.lowerBound)
                }
                let buffer = ReadPlan.pick(part, &buffers)
                fresh.append(insert(block: block, chunks: chunks, buffer: buffer, &state))
            }
            return (fresh, range.upperBound)
        }
    }

    /// Lets a read wait for its memory parts.
    ///
    /// - Returns: how many of them are still on their way.
    func wait(_ operation: any SegmentWaiter, for parts: [ReadPart]) -> Int {
        state.withLock { _ in
            var waiting = 0
            for case .memory(let segment, let range) in parts {
                let need = Int(range.upperBound - segment.start)
                // Dropped since the claim, with the fetch that should have filled it: nobody would ever
                // wake the read. Not waiting, it finds the memory gone and starts anew.
                if segment.filled < need, segment.buffer != nil {
                    segment.waiters.append(Segment.Waiter(need: need, waiter: operation))
                    waiting += 1
                }
            }
            return waiting
        }
    }

    /// Lets `waiter` wait for the first byte of the object. False when there is nothing to wait for.
    func waitForFirstByte(_ waiter: any SegmentWaiter) -> Bool {
        state.withLock { state in
            guard let segment = state.blocks[0]?.first(where: { $0.start == 0 }),
                segment.filled == 0
            else { return false }
            segment.waiters.append(Segment.Waiter(need: 1, waiter: waiter))
            return true
        }
    }

    /// The memory of a read's parts, in order: nil for those on disk, and for those that were dropped
    /// because their fetch failed (also while the read holds them).
    func memory(of parts: [ReadPart]) -> [Buffer?] {
        state.withLock { _ in
            parts.map { part in
                guard case .memory(let segment, _) = part else { return nil }
                return segment.buffer
            }
        }
    }

    // MARK: Under the lock

    private func insert(
        block: Int, chunks: Range<Int>, buffer: Buffer, _ state: inout State
    ) -> Segment {
        let segment = Segment(
            block: block, chunks: chunks, objectSize: version.size, buffer: buffer)
        state.blocks[block, default: []].append(segment)
        state.segments += 1
        return segment
    }

    private func plan(_ range: Range<Int64>, _ state: inout State) -> [ReadPart] {
        BlockRange.blocks(of: range).flatMap { plan(range, block: $0, &state) }
    }

    private func plan(_ range: Range<Int64>, block: Int, _ state: inout State) -> [ReadPart] {
        ReadPlan.parts(of: range, block: block, segments: state.blocks[block] ?? []) {
            cached?.present(block: block) ?? 0
        }
    }
}
