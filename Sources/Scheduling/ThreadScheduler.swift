// The scheduler of a real mount: threads of its own over one queue, and one thread for timers.
//
// Workers take works in order of arrival and may wait for the disk in them. The timer thread never
// runs a work itself: a due timer joins the queue, so that a slow work cannot make timers late.
// Not on Swift's cooperative pool, where one blocked thread of two halves everything.
//
// Locks: the queue's lock, then nothing; the timers' lock, then nothing. Works run under neither.

import Glibc

/// Time from the system's clocks, works on own threads.
public final class ThreadScheduler: Scheduler {
    private let queue = WorkQueue()
    private let timers: TimerQueue
    private let name: String

    /// Starts the threads.
    ///
    /// - Parameters:
    ///   - threads: how many works run at once, at least one.
    ///   - name: shown by `ps -L` and `top -H`; the first 12 bytes count.
    public init(threads: Int, name: String) {
        self.name = name
        timers = TimerQueue(queue: queue)
        for number in 0..<max(threads, 1) {
            Thread.start(name: "\(name.prefix(12))-\(number)", counted: queue) { $0.serve() }
        }
        Thread.start(name: "\(name.prefix(12))-t", counted: timers) { $0.serve() }
    }

    deinit {
        timers.stop()
        queue.stop()
    }

    public var now: Duration { Clock.monotonic() }

    public var unixTime: Duration { Clock.realtime() }

    public func run(_ work: @escaping @Sendable () -> Void) {
        queue.append(work)
    }

    @discardableResult
    public func after(_ delay: Duration, _ work: @escaping @Sendable () -> Void)
        -> any ScheduledWork
    {
        let timer = ScheduledTimer(work: work)
        guard delay > .zero else {
            queue.append { timer.fire() }
            return timer
        }
        timers.append(timer, due: Clock.monotonic() + delay)
        return timer
    }

    /// Drops timers, lets queued works finish, and returns when the threads are through. A work may
    /// call it: it then does not wait for its own thread. Works given afterwards never run.
    public func shutdown() {
        timers.stop()
        queue.stop()
        timers.waitUntilStopped()
        queue.waitUntilStopped()
    }
}

/// The system's clocks as durations.
enum Clock {
    /// CLOCK_MONOTONIC.
    static func monotonic() -> Duration { read(CLOCK_MONOTONIC) }

    /// CLOCK_REALTIME.
    static func realtime() -> Duration { read(CLOCK_REALTIME) }

    private static func read(_ clock: clockid_t) -> Duration {
        var time = timespec()
        let result = unsafe clock_gettime(clock, &time)
        precondition(result == 0, "clock_gettime cannot fail for these clocks")
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    /// `duration` since a clock's origin as the system wants it.
    static func timespecOf(_ duration: Duration) -> timespec {
        let (seconds, attoseconds) = duration.components
        return timespec(tv_sec: Int(seconds), tv_nsec: Int(attoseconds / 1_000_000_000))
    }
}
