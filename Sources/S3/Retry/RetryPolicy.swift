// How long to wait before the next attempt. Whether there is one: AttemptFailure; until when: Call.
// Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ (full jitter)

/// Full-jitter exponential backoff.
public struct RetryPolicy: Hashable, Sendable {
    /// The first wait is up to this, each further one up to twice as long.
    public var base: Duration
    /// No wait is longer, but for Retry-After.
    public var cap: Duration
    /// Attempts at most without a new byte; the deadline usually ends them first.
    public var maxAttempts: Int

    public init(
        base: Duration = .milliseconds(100), cap: Duration = .seconds(5), maxAttempts: Int = 100
    ) {
        self.base = base
        self.cap = cap
        self.maxAttempts = max(1, maxAttempts)
    }

    /// The wait before the next attempt.
    ///
    /// - Parameters:
    ///   - failures: attempts that failed in a row, at least 1.
    ///   - fraction: random, 0 up to 1.
    func delay(failures: Int, fraction: Double) -> Duration {
        let doublings = min(max(failures - 1, 0), 20)
        let most = min(cap, base * (1 << doublings))
        return .nanoseconds(Int64(Double(most.inNanoseconds) * fraction))
    }
}

extension Duration {
    /// Whole nanoseconds, cut to 64 bits (292 years).
    var inNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? (seconds < 0 ? .min : .max) : whole &+ attoseconds / 1_000_000_000
    }
}
