// Where a process may be stopped: every point that a crash test passes is counted, and at the n-th
// the process is dead. What it does after that reaches nobody.
//
// Locks: one mutex, a leaf; what is called at the death is called outside it.

import Synchronization

/// The crash points of one life of a process.
public final class CrashPoints: Sendable {
    private let state: Mutex<State>

    private struct State {
        var passed = 0
        var crashAt: Int?
        var isDying = false
        var isDead = false
        var place: String?
        var atDeath: [@Sendable () -> Void] = []
    }

    /// - Parameter crashAt: the process dies at this point (the first is 1); nil to only count.
    public init(crashAt: Int? = nil) {
        state = Mutex(State(crashAt: crashAt))
    }

    /// Points passed so far.
    public var count: Int { state.withLock { $0.passed } }
    public var isDead: Bool { state.withLock { $0.isDead } }
    /// Where it died, for messages.
    public var place: String? { state.withLock { $0.place } }

    /// The process dies at the n-th point from now on (the next is 1).
    public func crash(after number: Int) {
        state.withLock { $0.crashAt = $0.passed + number }
    }

    /// Nobody dies of what was planned.
    public func spare() { state.withLock { $0.crashAt = nil } }

    /// Passes a point.
    ///
    /// - Returns: false when the process is dead (also when it dies right here): nothing must be done.
    public func pass(_ what: @autoclosure () -> String) -> Bool {
        let (goesOn, dies) = state.withLock { state in
            if state.isDead || state.isDying { return (false, false) }
            state.passed += 1
            return (state.passed != state.crashAt, state.passed == state.crashAt)
        }
        if dies { die(what()) }
        return goesOn
    }

    /// Ends the process here.
    public func die(_ place: String) {
        let callbacks: [@Sendable () -> Void]? = state.withLock { state in
            guard !state.isDying else { return nil }
            state.isDying = true
            state.place = place
            defer { state.atDeath = [] }
            return state.atDeath
        }
        guard let callbacks else { return }
        // The last look at what the process had in hand: it is not dead yet.
        for callback in callbacks { callback() }
        state.withLock { $0.isDead = true }
    }

    /// Calls `body` at the death, on the dying stack. Must not pass a point.
    public func atDeath(_ body: @escaping @Sendable () -> Void) {
        state.withLock { $0.atDeath.append(body) }
    }
}
