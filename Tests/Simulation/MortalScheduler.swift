// The threads and timers of one process: after its death no work of it runs.

public import Scheduling

/// A scheduler whose work ends with a process.
public final class MortalScheduler: Scheduler {
    private let base: SimulatedScheduler
    private let points: CrashPoints

    public init(_ base: SimulatedScheduler, points: CrashPoints) {
        self.base = base
        self.points = points
    }

    public var now: Duration { base.now }
    public var unixTime: Duration { base.unixTime }

    public func run(_ work: @escaping @Sendable () -> Void) { base.run(mortal(work)) }

    @discardableResult
    public func after(
        _ delay: Duration, _ work: @escaping @Sendable () -> Void
    ) -> any ScheduledWork {
        base.after(delay, mortal(work))
    }

    private func mortal(_ work: @escaping @Sendable () -> Void) -> @Sendable () -> Void {
        { [points] in if !points.isDead { work() } }
    }
}
