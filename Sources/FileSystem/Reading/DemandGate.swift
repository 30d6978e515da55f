// Admission of reads that need memory.
//
// A read holds what it has pinned while it waits for the rest. If every reader could do so at once,
// all of the memory could be held by reads that wait for more of it. The gate lets in only as many
// bytes of reads as surely fit; whatever else is in the pool (guesses, blocks on their way to disk)
// drains or can be dropped, so an admitted read always gets its memory.
//
// Locks: one leaf mutex; admitted work runs outside it.

import DequeModule
import Synchronization

/// Lets reads in, in order, while their worst-case memory fits.
final class DemandGate: Sendable {
    private struct State: ~Copyable {
        var used = 0
        var queue: Deque<(need: Int, enter: @Sendable () -> Void)> = []
    }

    private let limit: Int
    private let state = Mutex(State())

    /// - Parameter limit: bytes.
    init(limit: Int) { self.limit = limit }

    /// Runs `enter` once `need` bytes are free, at once if they are. A need beyond the limit counts as
    /// the whole limit.
    func enter(need: Int, _ enter: @escaping @Sendable () -> Void) {
        let need = min(need, limit)
        let isAdmitted = state.withLock { state in
            guard state.queue.isEmpty, state.used + need <= limit else {
                state.queue.append((need, enter))
                return false
            }
            state.used += need
            return true
        }
        if isAdmitted { enter() }
    }

    /// Gives back what `enter` took, and lets the next ones in.
    func leave(need: Int) {
        let need = min(need, limit)
        var admitted: [@Sendable () -> Void] = []
        state.withLock { state in
            state.used -= need
            while let next = state.queue.first, state.used + next.need <= limit {
                state.queue.removeFirst()
                state.used += next.need
                admitted.append(next.enter)
            }
        }
        for enter in admitted { enter() }
    }
}
