// The clock and the work queues, behind one seam.
//
// Every room above takes its time and its background work from a `Scheduler`, never from the
// system directly, so that the simulation can play both from one seed. Work given to a scheduler
// may wait for the disk; it never waits for other work of the same scheduler.

/// Time and background work.
public protocol Scheduler: AnyObject, Sendable {
    /// Monotonic time since an arbitrary origin. Never goes back; not comparable between processes.
    var now: Duration { get }

    /// Wall-clock time since 1970-01-01T00:00:00Z.
    var unixTime: Duration { get }

    /// Runs `work` soon on one of the scheduler's threads. Order between two works is not promised.
    func run(_ work: @escaping @Sendable () -> Void)

    /// Runs `work` once `delay` has passed, unless the returned timer is cancelled first.
    ///
    /// - Parameter delay: zero or negative runs it soon.
    @discardableResult
    func after(_ delay: Duration, _ work: @escaping @Sendable () -> Void) -> any ScheduledWork
}

/// Work that waits for its time.
public protocol ScheduledWork: AnyObject, Sendable {
    /// Keeps the work from running if it has not begun. Safe to call more than once.
    func cancel()
}
