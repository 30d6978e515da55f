// One operation from its requests to its answer, without retries: the half that differs between
// ListObjectsV2, HeadObject and GetObject. The other half is Call.

internal import Transport

/// What an operation makes of its responses. Called from one thread at a time.
protocol Exchange: AnyObject, Sendable {
    /// As S3 names it.
    var operation: String { get }
    /// The request of the next attempt.
    func spec() -> RequestSpec
    /// A success (2xx) begins; nil takes its body.
    func begin(_ head: HTTPResponseHead, _ context: ResponseContext) -> AttemptFailure?
    /// The next bytes of a successful response.
    func take(_ bytes: UnsafeRawBufferPointer) -> Taken
    /// The response is complete. Nil is the operation's success.
    func end() -> AttemptFailure?
    /// The operation's answer, once.
    func finish(_ result: Result<Void, StoreError>)
    /// True when all that was asked for is here, so that the connection may break.
    var isComplete: Bool { get }
    /// An attempt failed so that nobody knows whether it took effect; another follows.
    func lost()
    /// True when `end` has much to do, so that it is called on a thread of the scheduler. Asked when the
    /// response is complete.
    var endsSlowly: Bool { get }
}

extension Exchange {
    func lost() {}
    var endsSlowly: Bool { false }
}

/// What became of some bytes.
enum Taken {
    case more
    /// The rest is not needed.
    case enough
    case failed(AttemptFailure)
}

/// What errors of a response are named by.
struct ResponseContext {
    var operation: String
    var status: Int
    var requestID: String?

    func malformed(_ what: String) -> AttemptFailure {
        .malformed(what, operation: operation, status: status, requestID: requestID)
    }
}
