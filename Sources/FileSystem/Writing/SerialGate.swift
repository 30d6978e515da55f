// Lets the structural changes of one file go one after the other: publish, truncate, rename, unlink.
//
// Locks: one leaf mutex; entered work runs outside it.

import DequeModule
import Synchronization

/// A queue of works that each end by a call, not by returning.
final class SerialGate: Sendable {
    /// Work that calls what it is given exactly once, when it is over.
    typealias Work = @Sendable (_ leave: @escaping @Sendable () -> Void) -> Void

    private struct State: ~Copyable {
        var isTaken = false
        var queue: Deque<Work> = []
    }

    private let state = Mutex(State())
    /// Called whenever nothing is under way any more: who asked `isTaken` meanwhile may go on.
    let onIdle = SendableBox<(@Sendable () -> Void)?>(nil)

    /// Runs `work` once everything before it is over: before this returns if nothing is under way.
    func enter(_ work: @escaping Work) {
        let mayGo = state.withLock { state in
            if state.isTaken {
                state.queue.append(work)
                return false
            }
            state.isTaken = true
            return true
        }
        if mayGo { run(work) }
    }

    /// True while something is under way.
    var isTaken: Bool { state.withLock { $0.isTaken } }

    private func run(_ first: @escaping Work) {
        // A loop, not recursion: many works that end at once must not fill the stack.
        var work: Work? = first
        while let current = work {
            let turn = Turn()
            current { [self] in
                guard !turn.leftInside() else { return }
                if let next = next() { run(next) }
            }
            work = turn.returned() ? next() : nil
        }
    }

    private func next() -> Work? {
        let next = state.withLock { state in
            let next = state.queue.popFirst()
            if next == nil { state.isTaken = false }
            return next
        }
        if next == nil { onIdle.value?() }
        return next
    }

    /// Decides who goes on: the loop, when the work ended before it returned, else who ends it.
    private final class Turn: Sendable {
        private let state = Mutex((hasLeft: false, hasReturned: false))

        /// Called at the end of the work; true when the loop is still there to go on.
        func leftInside() -> Bool {
            state.withLock { state in
                precondition(!state.hasLeft, "a work left its gate twice")
                state.hasLeft = true
                return !state.hasReturned
            }
        }

        /// Called when the work's function has returned; true when it is over too.
        func returned() -> Bool {
            state.withLock { state in
                state.hasReturned = true
                return state.hasLeft
            }
        }
    }
}
