// How many uploads of a mount may be under way: enough to fill the link, few enough that reads find
// connections free and that a writer who is faster than the link is slowed down.
//
// Locks: one leaf mutex; what enters runs outside it.

import DequeModule
import Synchronization

/// A counting gate for uploads, in order of asking.
final class UploadSlots: Sendable {
    private struct State: ~Copyable {
        var free: Int
        var queue: Deque<@Sendable () -> Void> = []
    }

    private let limit: Int
    private let state: Mutex<State>

    init(limit: Int) {
        self.limit = limit
        state = Mutex(State(free: limit))
    }

    /// Runs `upload` when a slot is free, at once if one is. `leave` must follow.
    func enter(_ upload: @escaping @Sendable () -> Void) {
        let mayGo = state.withLock { state in
            guard state.free > 0 else {
                state.queue.append(upload)
                return false
            }
            state.free -= 1
            return true
        }
        if mayGo { upload() }
    }

    /// Gives a slot back.
    func leave() {
        let next = state.withLock { state in
            let next = state.queue.popFirst()
            if next == nil { state.free += 1 }
            return next
        }
        next?()
    }

    /// True when uploads are under way or wait: room in the staging area will come.
    var isBusy: Bool { state.withLock { $0.free < limit } }
}
