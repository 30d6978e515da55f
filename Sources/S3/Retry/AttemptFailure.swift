// Why one attempt failed, and what may come next.

internal import Transport

/// One failed attempt.
struct AttemptFailure: Error {
    enum Next: Equatable, Sendable {
        /// Final.
        case none
        /// Again after a backoff, not before `after`.
        case backoff(after: Duration?)
        /// Again after a backoff, but only a few times: more will hardly help.
        case few
    }

    var error: StoreError
    var next: Next
    /// What the server said, for redirects, clock and token.
    var server: ServerError?

    /// Attempts that `few` means.
    static let fewAttempts = 3

    init(_ error: StoreError, _ next: Next, server: ServerError? = nil) {
        self.error = error
        self.next = next
        self.server = server
    }

    init(_ server: ServerError, operation: String, isBucket: Bool) {
        let error = ErrorTable.error(server, operation: operation, isBucket: isBucket)
        let after = server.retryAfter.map { Duration.seconds($0) }
        let isTransient = ErrorTable.isTransient(server)
        let next: Next =
            ErrorTable.isWorthAFewAttempts(error.kind)
            ? .few : isTransient ? .backoff(after: after) : .none
        self.init(error, next, server: server)
    }

    init(_ failure: HTTPTransportError, operation: String) {
        let error = StoreError(
            kind: ErrorTable.kind(of: failure.kind), operation: operation,
            message: failure.message)
        switch failure.kind {
        case .connectFailed, .connectionLost, .bodyTooShort, .timedOut, .stalled,
            .nameNotResolved:
            self.init(error, .backoff(after: nil))
        case .tls, .other: self.init(error, .few)
        case .certificate, .cancelled, .badURL, .bodyUnreadable: self.init(error, .none)
        }
    }

    /// True when the attempt may have taken effect all the same: no answer, or one of a server that
    /// failed on its way.
    var isUncertain: Bool { server.map { $0.status >= 500 || $0.status < 300 } ?? true }

    static func malformed(_ what: String, operation: String, status: Int?, requestID: String?)
        -> AttemptFailure
    {
        AttemptFailure(
            StoreError(
                kind: .malformedResponse, operation: operation, status: status,
                requestID: requestID, message: ErrorTable.oneLine(what)), .few)
    }
}
