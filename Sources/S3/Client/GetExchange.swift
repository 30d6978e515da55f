// GetObject, streamed. A body that breaks off goes on from its next byte, under If-Match, so that the
// receiver sees each byte of one version once and in order. Never buffers a body.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html, RFC 9110 section 14

internal import Transport

/// Used from one thread at a time (see Exchange), hence @unchecked.
final class GetExchange: Exchange, @unchecked Sendable {
    /// A server that ignores Range sends the object from its beginning: so much of it is skipped.
    static let skipLimit: Int64 = 64 << 20

    let operation = "GetObject"
    private let request: GetRequest
    private let receiver: any GetReceiver
    /// Set by the first response that made sense.
    private var object: ObjectHead?
    /// The end of what is wanted, known with `object`.
    private var wantedEnd: Int64 = 0
    /// The object's offset of the next byte to hand on.
    private var next: Int64
    /// The object's offset of the next byte of the response, and the end of the response.
    private var place: Int64 = 0
    private var bodyEnd: Int64 = 0
    private var context: ResponseContext?

    init(_ request: GetRequest, _ receiver: any GetReceiver) {
        self.request = request
        self.receiver = receiver
        next = request.range?.lowerBound ?? 0
        precondition(next >= 0 && !(request.range?.isEmpty ?? false), "an empty range")
    }

    var isComplete: Bool { object != nil && next == wantedEnd }

    private var pinned: ETag? { object?.etag ?? request.ifMatch }

    func spec() -> RequestSpec {
        var spec = RequestSpec(
            operation: operation, method: "GET", key: request.key.bytes, hasCustomerKey: true)
        if let etag = pinned { spec.headers.append(("If-Match", "\"" + etag.text + "\"")) }
        if object != nil {
            // No range at first and nothing received: a plain GET again.
            if request.range != nil || next > 0 {
                spec.headers.append(("Range", "bytes=\(next)-\(wantedEnd - 1)"))
            }
            spec.expectedBody = wantedEnd - next
        } else if let range = request.range {
            spec.headers.append(
                ("Range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)"))
            spec.expectedBody = Int64(range.count)
        }
        return spec
    }

    func begin(_ head: HTTPResponseHead, _ context: ResponseContext) -> AttemptFailure? {
        self.context = context
        let headers = AnswerHeaders(head)
        let (failure, total) = placeBody(head.status, headers, context)
        if let failure { return failure }
        guard let found = headers.object(request.key, size: total) else {
            return context.malformed("the answer lacks ETag or Last-Modified")
        }
        if let pinned, pinned != found.etag {
            return AttemptFailure(
                StoreError(
                    kind: .preconditionFailed, operation: operation, status: head.status,
                    requestID: context.requestID,
                    message: "the object changed: its ETag is \(found.etag.text) now"), .none)
        }
        if let object {
            guard object.size == total else {
                return context.malformed(
                    "the object's size was \(object.size), is \(total) with the same ETag")
            }
            return nil
        }
        object = found
        wantedEnd = min(request.range?.upperBound ?? total, total)
        receiver.receive(head: found)
        return nil
    }

    /// Finds where the body stands in the object; answers the object's size.
    private func placeBody(
        _ status: Int, _ headers: AnswerHeaders, _ context: ResponseContext
    ) -> (AttemptFailure?, Int64) {
        let asksRange = request.range != nil || (object != nil && next > 0)
        switch status {
        case 206:
            guard asksRange, let (range, total) = headers.contentRange else {
                return (context.malformed("206 without a sensible Content-Range"), 0)
            }
            let wanted = object != nil ? wantedEnd : min(request.range?.upperBound ?? total, total)
            guard range.lowerBound == next, range.upperBound == wanted else {
                return (
                    context.malformed(
                        "asked for bytes \(next)-\(wanted - 1), got \(range.lowerBound)-"
                            + "\(range.upperBound - 1)"), 0
                )
            }
            if let length = headers.contentLength, length != Int64(range.count) {
                return (
                    context.malformed(
                        "Content-Length \(length) with \(range.count) bytes of Content-Range"), 0
                )
            }
            place = range.lowerBound
            bodyEnd = range.upperBound
            return (nil, total)
        case 200:
            guard let total = headers.contentLength else {
                return (context.malformed("200 without a Content-Length"), 0)
            }
            guard next < total || (next == 0 && request.range == nil) else {
                let error = StoreError(
                    kind: .invalidRange, operation: operation, status: status,
                    requestID: context.requestID, message: "the object has \(total) bytes")
                return (AttemptFailure(error, .none), 0)
            }
            guard next <= Self.skipLimit else {
                return (context.malformed("the server ignores Range"), 0)
            }
            place = 0
            bodyEnd = total
            return (nil, total)
        default:
            return (context.malformed("status \(status)"), 0)
        }
    }

    func take(_ bytes: UnsafeRawBufferPointer) -> Taken {
        guard Int64(bytes.count) <= bodyEnd - place else {
            return .failed(context!.malformed("the body is longer than its headers say"))
        }
        let start = place
        place += Int64(bytes.count)
        let from = max(start, next)
        let to = min(place, wantedEnd)
        if from < to {
            let wanted = unsafe UnsafeRawBufferPointer(
                rebasing: bytes[Int(from - start)..<Int(to - start)])
            next = to
            unsafe receiver.receive(bytes: wanted, at: from)
        }
        return next == wantedEnd && place < bodyEnd ? .enough : .more
    }

    func end() -> AttemptFailure? {
        if isComplete { return nil }
        return AttemptFailure(
            StoreError(
                kind: .network, operation: operation, status: context?.status,
                requestID: context?.requestID,
                message: "the body ended early, \(wantedEnd - next) bytes are missing"),
            .backoff(after: nil))
    }

    func finish(_ result: Result<Void, StoreError>) { receiver.finish(result) }
}
