// A call that is made of several, one after the other, and can be given up in any of them.
//
// Locks: `state`, a leaf; no call is begun or cancelled under it.

internal import Synchronization

/// Remembers the call that runs, and a cancellation that comes before it.
final class Steps: Cancellable {
    private struct State {
        var current: (any Cancellable)?
        /// Steps begun so far: an earlier one that returns late is not the current one.
        var begun = 0
        var isCancelled = false
    }

    private let state = Mutex(State())

    var isCancelled: Bool { state.withLock { $0.isCancelled } }

    /// Begins the next step. One that is begun after a cancellation is cancelled at once, so that it
    /// answers.
    func next(_ start: () -> any Cancellable) {
        let turn = state.withLock { state in
            state.begun += 1
            return state.begun
        }
        let call = start()
        let isCancelled = state.withLock { state in
            if state.begun == turn { state.current = call }
            return state.isCancelled
        }
        if isCancelled { call.cancel() }
    }

    func cancel() {
        let call = state.withLock { state in
            state.isCancelled = true
            return state.current
        }
        call?.cancel()
    }
}
