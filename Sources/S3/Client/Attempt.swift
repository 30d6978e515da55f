// One request on the wire: tells a success from an error answer, so that no error body is ever taken
// for data, and gives Call its end.

internal import Scheduling
internal import Transport

/// Called by the transport from one thread at a time, which is why it needs no lock.
final class Attempt: HTTPReceiver, @unchecked Sendable {
    /// Bytes of an error body that are looked at.
    private static let errorBodyLimit = 64 << 10

    let number: Int
    let spec: RequestSpec
    let place: Place
    let credentials: Credentials
    private let call: Call
    private let started: Duration
    private var status: Int?
    private var bytes: Int64 = 0
    private var failure: AttemptFailure?
    private var hasEnough = false
    private var server: ServerError?
    private var document: ErrorDocument?
    private var reader: XMLReader?

    init(
        _ call: Call, number: Int, spec: RequestSpec, place: Place, credentials: Credentials,
        started: Duration
    ) {
        self.call = call
        self.number = number
        self.spec = spec
        self.place = place
        self.credentials = credentials
        self.started = started
    }

    func receive(head: HTTPResponseHead) {
        status = head.status
        let requestID = head.first("x-amz-request-id")
        if (200..<300).contains(head.status) {
            let context = ResponseContext(
                operation: spec.operation, status: head.status, requestID: requestID)
            failure = call.exchange.begin(head, context)
            return
        }
        server = ServerError(
            status: head.status, region: head.first("x-amz-bucket-region"), requestID: requestID,
            retryAfter: Self.retryAfter(head), date: head.first("date").flatMap(Dates.http))
        if spec.method != "HEAD" {
            let document = ErrorDocument()
            self.document = document
            reader = XMLReader(document, sizeLimit: Self.errorBodyLimit)
        }
    }

    /// Seconds, or a date against the server's own clock.
    private static func retryAfter(_ head: HTTPResponseHead) -> Int64? {
        guard let text = head.first("retry-after") else { return nil }
        if let seconds = Headers.number(text.utf8) { return min(seconds, 86400) }
        guard let until = Dates.http(text), let now = head.first("date").flatMap(Dates.http)
        else { return nil }
        return max(0, until - now)
    }

    func receive(body: UnsafeRawBufferPointer) -> Bool {
        bytes += Int64(body.count)
        if failure != nil || hasEnough { return false }
        if server != nil {
            do throws(XMLProblem) {
                try unsafe reader?.parse(body)
            } catch {
                // Not XML (a proxy's page): what was understood so far is all there is.
                reader = nil
            }
            return bytes <= Self.errorBodyLimit
        }
        call.progressed()
        switch unsafe call.exchange.take(body) {
        case .more: return true
        case .enough:
            hasEnough = true
            return false
        case .failed(let why):
            failure = why
            return false
        }
    }

    func finish(_ result: Result<HTTPStatistics, HTTPTransportError>) {
        if failure == nil, server == nil, call.exchange.endsSlowly {
            // The transport's thread has other answers to take, and the next request to send.
            call.elsewhere { [self] in conclude(result) }
        } else {
            conclude(result)
        }
    }

    private func conclude(_ result: Result<HTTPStatistics, HTTPTransportError>) {
        let end = end(result)
        // The call may hold this attempt; the parser's memory is not needed any more.
        reader = nil
        call.finished(self, end)
    }

    private func end(_ result: Result<HTTPStatistics, HTTPTransportError>) -> AttemptFailure? {
        if let failure { return failure }
        if var server {
            if case .failure(let error) = result, error.kind == .cancelled, bytes == 0 {
                return AttemptFailure(error, operation: spec.operation)
            }
            if let document, document.isError {
                server.code = document.code
                server.message = document.message
                server.region = document.region ?? server.region
                server.endpoint = document.endpoint
                server.requestID = server.requestID ?? document.requestID
            }
            return AttemptFailure(
                server, operation: spec.operation, isBucket: spec.key == nil)
        }
        switch result {
        case .success:
            guard status != nil else {
                return .malformed(
                    "no status", operation: spec.operation, status: nil, requestID: nil)
            }
            return call.exchange.end()
        case .failure(let error):
            // All is here: how the connection ended does not matter.
            if call.exchange.isComplete { return call.exchange.end() }
            return AttemptFailure(error, operation: spec.operation)
        }
    }

    /// What the observer is told.
    func record(now: Duration, error: StoreError?, isRetried: Bool) -> RequestRecord {
        RequestRecord(
            operation: spec.operation, attempt: number, status: status, bytes: bytes,
            duration: now - started, error: error, isRetried: isRetried)
    }
}
