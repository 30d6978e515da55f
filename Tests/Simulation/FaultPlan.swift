// What goes wrong in a simulated bucket, and how often.

public import S3

/// The kinds of request the store knows.
public enum StoreOperation: String, Hashable, Sendable, CaseIterable {
    case list = "ListObjectsV2"
    case head = "HeadObject"
    case get = "GetObject"
    case put = "PutObject"
    case copy = "CopyObject"
    case delete = "DeleteObject"
    case deleteMany = "DeleteObjects"
    case createUpload = "CreateMultipartUpload"
    case uploadPart = "UploadPart"
    case copyPart = "UploadPartCopy"
    case completeUpload = "CompleteMultipartUpload"
    case abortUpload = "AbortMultipartUpload"
    case listParts = "ListParts"

    /// True for requests that change the bucket (or an upload).
    public var isChange: Bool {
        switch self {
        case .list, .head, .get, .listParts: false
        default: true
        }
    }
}

/// Probabilities (0 to 1) per request, and delays. The default is a perfect server without latency.
public struct FaultPlan: Sendable {
    /// Requests that fail for good before any byte, by cause.
    public var errors: [(kind: StoreError.Kind, probability: Double)] = []
    /// The same, for GETs only.
    public var getErrors: [(kind: StoreError.Kind, probability: Double)] = []
    /// The same, for requests that change something; they then change nothing.
    public var changeErrors: [(kind: StoreError.Kind, probability: Double)] = []
    /// Changes that are carried out and whose answer is lost: `.network` or `.timedOut`.
    public var lostAnswers: Double = 0
    /// Bodies that are read again from their start, as for another attempt.
    public var restartBody: Double = 0
    /// Writes of a key right before which another client puts or deletes it.
    public var changeBeforeWrite: Double = 0
    /// Keys of a DeleteObjects that are refused, one by one.
    public var refuseKey: Double = 0
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

    /// Everything that can go wrong with changes too.
    public static func roughWriting(errors rate: Double = 0.01) -> FaultPlan {
        var plan = rough(errors: rate)
        plan.getErrors = []
        (plan.changeBeforeGet, plan.changeDuringGet) = (0, 0)
        plan.changeErrors = [(.conflict, rate), (.accessDenied, rate / 4)]
        plan.lostAnswers = rate
        plan.restartBody = rate * 3
        plan.refuseKey = rate
        return plan
    }

    /// Draws the error of one request, if it is to fail.
    func error(
        of operation: StoreOperation, using generator: inout SeededGenerator
    ) -> StoreError.Kind? {
        let more =
            operation == .get ? getErrors : operation.isChange ? changeErrors : []
        for (kind, probability) in errors + more
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
    /// GETs, PutObject and UploadPart: so many bytes of the body are passed on before the error.
    public var bytesBefore: Int64
    /// Changes only: the change is carried out, then the error is answered.
    public var isLostAnswer: Bool
    /// Added to the round trip.
    public var delay: Duration

    public init(
        _ operation: StoreOperation, key: ObjectKey? = nil, error: StoreError.Kind? = nil,
        bytesBefore: Int64 = 0, isLostAnswer: Bool = false, delay: Duration = .zero
    ) {
        self.operation = operation
        self.key = key
        self.error = error
        self.bytesBefore = bytesBefore
        self.isLostAnswer = isLostAnswer
        self.delay = delay
    }
}
