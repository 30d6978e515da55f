// Keeps the keys below a directory still while it is renamed: whatever would write or delete one of
// them waits until the rename is over, and then finds the names as they are.
//
// Locks: one leaf mutex; those who waited go on outside it.

import Scheduling
import Synchronization

/// The prefixes that are being renamed.
final class RenameBarrier: Sendable {
    private struct State {
        var prefixes: [[UInt8]] = []
        var waiters: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())
    private let isRaised = Atomic<Bool>(false)
    private let scheduler: any Scheduler

    init(scheduler: any Scheduler) { self.scheduler = scheduler }

    /// From now on what is below the prefix keeps still.
    func raise(_ prefix: [UInt8]) {
        state.withLock { state in
            state.prefixes.append(prefix)
            isRaised.store(true, ordering: .releasing)
        }
    }

    /// The rename is over.
    func lower(_ prefix: [UInt8]) {
        let waiters = state.withLock { state in
            if let index = state.prefixes.firstIndex(of: prefix) {
                state.prefixes.remove(at: index)
            }
            isRaised.store(!state.prefixes.isEmpty, ordering: .releasing)
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { scheduler.run(waiter) }
    }

    /// True while a key is below a directory that is being renamed.
    func covers(_ key: [UInt8]) -> Bool {
        guard isRaised.load(ordering: .acquiring) else { return false }
        return state.withLock { $0.prefixes.contains { key.starts(with: $0) } }
    }

    /// Goes on when a key is not covered: at once, or after the rename, when `key` is asked again.
    ///
    /// - Parameter key: nil when it is gone; then nothing is to be waited for.
    func pass(_ key: @escaping @Sendable () -> [UInt8]?, then: @escaping @Sendable () -> Void) {
        guard isRaised.load(ordering: .acquiring), let now = key() else { return then() }
        let mustWait = state.withLock { state in
            guard state.prefixes.contains(where: { now.starts(with: $0) }) else { return false }
            state.waiters.append { [self] in pass(key, then: then) }
            return true
        }
        if !mustWait { then() }
    }
}
