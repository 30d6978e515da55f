// The account of bytes in the staging area: what is claimed, and who waits for room.
//
// Locks: one mutex, a leaf; waiters are called outside it.

import Glibc
import Synchronization

/// Claims below a limit, and above what the disk keeps free.
final class StagingAccount: Sendable {
    private struct State {
        var claimed: Int64 = 0
        /// Bytes that could still be claimed of the disk, by the last look at it.
        var onDisk: Int64 = 0
        var looked: Int64?
        var releasedSinceRefusal = false
        var waiters: [@Sendable () -> Void] = []
    }

    /// How long a look at the disk holds, in nanoseconds.
    private static let lookHolds: Int64 = 100_000_000

    let limit: Int64
    private let keepFree: Int64
    private let freeBytes: @Sendable () -> Int64?
    private let state = Mutex(State())

    /// - Parameter freeBytes: of the disk; nil when it does not say.
    init(limit: Int64, keepFree: Int64, freeBytes: @escaping @Sendable () -> Int64?) {
        self.limit = limit
        self.keepFree = keepFree
        self.freeBytes = freeBytes
    }

    var claimed: Int64 { state.withLock { $0.claimed } }

    func claim(_ bytes: Int64) -> Bool {
        state.withLock { state in
            let now = Self.now
            if state.looked.map({ now - $0 > Self.lookHolds }) ?? true {
                state.looked = now
                state.onDisk = freeBytes().map { $0 - keepFree } ?? .max
            }
            guard bytes <= limit - state.claimed, bytes <= state.onDisk else {
                state.releasedSinceRefusal = false
                return false
            }
            state.claimed += bytes
            if state.onDisk != .max { state.onDisk -= bytes }
            return true
        }
    }

    /// Counts bytes that are on the disk already, whatever the limit says.
    func claimPresent(_ bytes: Int64) { state.withLock { $0.claimed += bytes } }

    func release(_ bytes: Int64) {
        let waiters = state.withLock { state in
            assert(bytes >= 0 && bytes <= state.claimed, "more released than claimed")
            state.claimed = max(0, state.claimed - bytes)
            state.looked = nil
            state.releasedSinceRefusal = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter() }
    }

    func whenReleased(_ body: @escaping @Sendable () -> Void) {
        let isNow = state.withLock { state in
            if !state.releasedSinceRefusal { state.waiters.append(body) }
            return state.releasedSinceRefusal
        }
        if isNow { body() }
    }

    private static var now: Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
