// One request under way in the simulated store: a chain of steps, each scheduled by the one before,
// so that its receiver is called by one thread at a time. Giving it up wakes the chain early; the
// chain then answers `.cancelled`, never the thread that gave up.
//
// Locks: one mutex, a leaf; nothing is called under it.

import S3
import Scheduling
import Synchronization

final class SimulatedCall: Cancellable {
    private let scheduler: any Scheduler
    private let state = Mutex(State())

    private struct State {
        var isCancelled = false
        var waiting: (@Sendable (_ isCancelled: Bool) -> Void)?
        var timer: (any ScheduledWork)?
    }

    init(scheduler: any Scheduler) { self.scheduler = scheduler }

    /// Runs the next step of the chain after `delay`, at once if the call was given up.
    func next(after delay: Duration, _ step: @escaping @Sendable (_ isCancelled: Bool) -> Void) {
        let isCancelled = state.withLock { state in
            state.waiting = step
            return state.isCancelled
        }
        if isCancelled || delay <= .zero {
            scheduler.run { self.fire() }
            return
        }
        let timer = scheduler.after(delay) { self.fire() }
        let isLate = state.withLock { state in
            // The timer may have fired, or the call may have been given up, meanwhile.
            if state.waiting != nil { state.timer = timer }
            return state.isCancelled
        }
        if isLate { cancel() }
    }

    func cancel() {
        let (timer, isWaiting) = state.withLock { state in
            state.isCancelled = true
            defer { state.timer = nil }
            return (state.timer, state.waiting != nil)
        }
        guard let timer, isWaiting else { return }
        timer.cancel()
        scheduler.run { self.fire() }
    }

    private func fire() {
        let (step, isCancelled) = state.withLock { state in
            defer {
                state.waiting = nil
                state.timer = nil
            }
            return (state.waiting, state.isCancelled)
        }
        step?(isCancelled)
    }
}
