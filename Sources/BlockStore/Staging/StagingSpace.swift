// The account of the staging area: what was claimed, the limit, and the disk's free space.
//
// Locks: one leaf mutex; those who waited are called outside it.

import Glibc
import Synchronization

/// Bytes of staged files.
final class StagingSpace: Sendable {
    private struct State {
        var claimed: Int64 = 0
        var waiters: [@Sendable () -> Void] = []
        /// Bytes were released since the last refusal.
        var wasReleased = false
        /// Free bytes of the disk as last asked, less what was claimed since.
        var free: Int64 = 0
        /// Claims until the disk is asked again.
        var trusted = 0
    }

    let limit: Int64
    private let keepFree: Int64
    private let freeBytes: @Sendable () -> Int64?
    private let state = Mutex(State())

    /// - Parameters:
    ///   - limit: bytes.
    ///   - keepFree: bytes of the disk that are left to others.
    ///   - freeBytes: what the disk has now; nil when it does not say.
    init(limit: Int64, keepFree: Int64, freeBytes: @escaping @Sendable () -> Int64?) {
        self.limit = limit
        self.keepFree = keepFree
        self.freeBytes = freeBytes
    }

    var claimed: Int64 { state.withLock { $0.claimed } }

    func claim(_ bytes: Int64) -> Bool {
        state.withLock { state in
            guard bytes > 0 else { return true }
            if state.trusted == 0 || state.free - bytes < keepFree {
                state.free = freeBytes() ?? Int64.max
                state.trusted = 64
            }
            guard state.claimed + bytes <= limit, state.free - bytes >= keepFree else {
                state.wasReleased = false
                return false
            }
            state.trusted -= 1
            state.free -= bytes
            state.claimed += bytes
            return true
        }
    }

    func release(_ bytes: Int64) {
        guard bytes > 0 else { return }
        let waiters = state.withLock { state in
            precondition(bytes <= state.claimed, "more was released than claimed")
            state.claimed -= bytes
            state.wasReleased = true
            state.trusted = 0
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter() }
    }

    func whenReleased(_ body: @escaping @Sendable () -> Void) {
        let isDue = state.withLock { state in
            if state.wasReleased { return true }
            state.waiters.append(body)
            return false
        }
        if isDue { body() }
    }
}
