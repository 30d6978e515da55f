// What goes wrong in a simulated bucket, and how often.

public import S3

/// The kinds of request the store knows.
public enum StoreOperation: String, Hashable, Sendable, CaseIterable {
    case list = "ListObjectsV2"
    case head = "HeadObject"
    case get = "GetObject"
}

/// Probabilities (0 to 1) per request, and delays. The default is a perfect server without latency.
public struct FaultPlan: Sendable {
    /// Requests that fail for good before any byte, by cause.
    public var errors: [(kind: StoreError.Kind, probability: Double)] = []
    /// The same, for GETs only.
    public var getErrors: [(kind: StoreError.Kind, probability: Double)] = []
    /// GETs that fail with one of `errors`' kinds (or `.network`) after a part of the body.
    public var breakBody: Double = 0
    /// GETs before which the object is given other bytes, or is deleted.
    public var changeBeforeGet: Double = 0
    /// GETs in the middle of which the object changes; half of them then end with
    /// `.preconditionFailed`, as when the store had to resume the body.
    public var changeDuringGet: Double = 0
    /// Listings that give fewer entries than asked for, with a token, as S3 may.
    public var shortPages: Double = 0
    /// Added to every request's round trip.
    public var delay: ClosedRange<Duration> = .zero...(.zero)
    /// Between two pieces of a body.
    public var pieceDelay: ClosedRange<Duration> = .zero...(.zero)
    /// Bytes of a piece of a body.
    public var pieceSize: ClosedRange<Int> = 1...(256 << 10)

    /// No faults at all.
    public init() {}

    /// Everything that can go wrong, now and then.
    public static func rough(errors rate: Double = 0.01) -> FaultPlan {
        var plan = FaultPlan()
        plan.errors = [
            (.unavailable, rate), (.timedOut, rate), (.network, rate),
        ]
        // A denied LIST would mean a mount without the right to list: another thing than a fault.
        plan.getErrors = [(.accessDenied, rate / 2)]
        plan.breakBody = rate * 2
        plan.changeBeforeGet = rate
        plan.changeDuringGet = rate
        plan.shortPages = 0.2
        plan.delay = .zero...(.milliseconds(80))
        plan.pieceDelay = .zero...(.milliseconds(5))
        return plan
    }

    /// Draws the error of one request, if it is to fail.
    func error(
        of operation: StoreOperation, using generator: inout SeededGenerator
    ) -> StoreError.Kind? {
        for (kind, probability) in errors + (operation == .get ? getErrors : [])
        where generator.chance(probability) { return kind }
        return nil
    }
}

/// A fault for one named request: used once, then gone.
public struct ScriptedFault: Sendable {
    public var operation: StoreOperation
    /// The key, or the listing's prefix; nil for the next request of the operation, whatever it names.
    public var key: ObjectKey?
    /// Nil to answer as usual (after `delay`).
    public var error: StoreError.Kind?
    /// GETs only: so many bytes are delivered before the error.
    public var bytesBefore: Int64
    /// Added to the round trip.
    public var delay: Duration

    public init(
        _ operation: StoreOperation, key: ObjectKey? = nil, error: StoreError.Kind? = nil,
        bytesBefore: Int64 = 0, delay: Duration = .zero
    ) {
        self.operation = operation
        self.key = key
        self.error = error
        self.bytesBefore = bytesBefore
        self.delay = delay
    }
}
