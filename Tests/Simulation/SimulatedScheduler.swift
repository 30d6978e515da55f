// The clock and the work queue that a seed plays.
//
// Nothing runs until a test steps: `run` and `after` only queue. All work runs on the stepping
// thread, one at a time, in an order drawn from the seed, and virtual time moves only when nothing
// is ready; so one seed is one history.
//
// Locks: one mutex, a leaf; no work runs or is freed under it.

public import Scheduling
import Synchronization

/// A scheduler of virtual time.
public final class SimulatedScheduler: Scheduler {
    private let state: Mutex<State>

    private struct Entry {
        var id: UInt64
        var due: Duration
        var work: @Sendable () -> Void
    }

    private struct State {
        var now: Duration = .zero
        var generator: SeededGenerator
        var ready: [Entry] = []
        /// By due time, latest first, then by id, so that the next one is the last.
        var timers: [Entry] = []
        var nextID: UInt64 = 0
        var steps = 0
    }

    /// - Parameter seed: decides the order among ready works.
    public init(seed: UInt64) {
        state = Mutex(State(generator: SeededGenerator(seed: seed)))
    }

    public var now: Duration { state.withLock { $0.now } }

    /// Virtual time counted from 2023-11-14T22:13:20Z.
    public var unixTime: Duration { .seconds(1_700_000_000) + now }

    /// Works run so far.
    public var steps: Int { state.withLock { $0.steps } }

    /// Works that wait, ready or for their time.
    public var pending: Int { state.withLock { $0.ready.count + $0.timers.count } }

    public func run(_ work: @escaping @Sendable () -> Void) {
        state.withLock { state in
            state.ready.append(Entry(id: state.nextID, due: state.now, work: work))
            state.nextID += 1
        }
    }

    @discardableResult
    public func after(
        _ delay: Duration, _ work: @escaping @Sendable () -> Void
    ) -> any ScheduledWork {
        let id = state.withLock { state in
            let id = state.nextID
            state.nextID += 1
            let entry = Entry(id: id, due: state.now + max(delay, .zero), work: work)
            if delay <= .zero {
                state.ready.append(entry)
            } else {
                state.timers.insert(entry, at: Self.place(of: entry, in: state.timers))
            }
            return id
        }
        return Timer(scheduler: self, id: id)
    }

    /// Runs one ready work; when none is ready, time first moves to the next timer.
    ///
    /// - Parameter limit: time does not move beyond this; nil for no limit.
    /// - Returns: false when there was nothing to run (up to `limit`).
    @discardableResult
    public func step(until limit: Duration? = nil) -> Bool {
        let entry: Entry? = state.withLock { state in
            if state.ready.isEmpty {
                guard let next = state.timers.last else { return nil }
                if let limit, next.due > limit { return nil }
                state.now = max(state.now, next.due)
                while let timer = state.timers.last, timer.due <= state.now {
                    state.ready.append(timer)
                    state.timers.removeLast()
                }
            }
            state.steps += 1
            let chosen = Int.random(in: 0..<state.ready.count, using: &state.generator)
            state.ready.swapAt(chosen, state.ready.count - 1)
            return state.ready.removeLast()
        }
        guard let entry else { return false }
        entry.work()
        return true
    }

    /// Steps until nothing waits, timers included.
    ///
    /// - Parameter maxSteps: gives up after this many, for work that renews itself for ever.
    /// - Returns: false when it gave up.
    @discardableResult
    public func runUntilIdle(maxSteps: Int = 1_000_000) -> Bool {
        for _ in 0..<maxSteps where !step() { return true }
        return pending == 0
    }

    /// Runs what is ready now, and what that makes ready, without moving time.
    public func runReady() {
        let limit = now
        while step(until: limit) {}
    }

    /// Lets `duration` pass: runs all that is due in it; then it is exactly that much later.
    public func advance(by duration: Duration) {
        let end = now + duration
        while step(until: end) {}
        state.withLock { $0.now = max($0.now, end) }
    }

    /// Where a timer belongs: the latest come first, of equals the youngest.
    private static func place(of entry: Entry, in timers: [Entry]) -> Int {
        var low = 0
        var high = timers.count
        while low < high {
            let middle = (low + high) / 2
            if timers[middle].due > entry.due { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Takes a work out of both queues; it is freed outside the lock, as its captures may call back.
    fileprivate func cancel(_ id: UInt64) {
        let entry: Entry? = state.withLock { state in
            if let index = state.timers.firstIndex(where: { $0.id == id }) {
                return state.timers.remove(at: index)
            }
            guard let index = state.ready.firstIndex(where: { $0.id == id }) else { return nil }
            return state.ready.remove(at: index)
        }
        _ = entry
    }

    private final class Timer: ScheduledWork {
        private let scheduler: SimulatedScheduler
        private let id: UInt64

        init(scheduler: SimulatedScheduler, id: UInt64) {
            self.scheduler = scheduler
            self.id = id
        }

        func cancel() { scheduler.cancel(id) }
    }
}
