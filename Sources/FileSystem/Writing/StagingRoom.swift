// Who waits for room in the staging area, and what is under way that will make some.
//
// A writer waits only while something is under way that ends by itself: a part that is sent, a file
// that is published. Each end wakes all who wait, successful or not, so nobody waits for what failed.
//
// Locks: one mutex, a leaf; those who wait run outside it, on threads of the scheduler.

import BlockStore
import Scheduling
import Synchronization

/// Writers that wait for room.
final class StagingRoom: Sendable {
    private struct State: ~Copyable {
        var underWay = 0
        var waiting: [@Sendable () -> Void] = []
        /// The staging area has been asked to tell of the next release.
        var isAsked = false
    }

    private let staging: any StagingStorage
    private let scheduler: any Scheduler
    private let state = Mutex(State())

    init(staging: any StagingStorage, scheduler: any Scheduler) {
        self.staging = staging
        self.scheduler = scheduler
    }

    /// Something began that will make room, or fail.
    func began() { state.withLock { $0.underWay += 1 } }

    /// It is over, and what it has freed can be had.
    func ended() {
        state.withLock { state in
            precondition(state.underWay > 0, "ended what never began")
            state.underWay -= 1
        }
        wake()
    }

    /// True while something is under way that may make room.
    var isComing: Bool { state.withLock { $0.underWay > 0 } }

    /// Runs `body` when there may be more room than now, or nothing is under way any more.
    func wait(_ body: @escaping @Sendable () -> Void) {
        let isFirst = state.withLock { state in
            state.waiting.append(body)
            defer { state.isAsked = true }
            return !state.isAsked
        }
        if isFirst {
            staging.whenReleased { [weak self] in
                self?.state.withLock { $0.isAsked = false }
                self?.wake()
            }
        }
        // The last one may have ended before this was entered.
        if !isComing { wake() }
    }

    private func wake() {
        let waiting = state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
        for body in waiting { scheduler.run(body) }
    }
}
