// HeadObject, HeadBucket and GetBucketLocation. Each attempt begins from nothing.
//
// The classes are used from one thread at a time (see Exchange), hence @unchecked.

internal import Transport

extension ErrorDocument {
    /// What an `Error` document under status 200 says: S3 does so when it fails after the headers.
    func asServerError(_ context: ResponseContext) -> ServerError? {
        guard isError else { return nil }
        return ServerError(
            status: context.status, code: code ?? "InternalError", message: message,
            region: region, endpoint: endpoint, requestID: context.requestID ?? requestID)
    }
}

/// HeadObject.
final class HeadExchange: Exchange, @unchecked Sendable {
    let operation = "HeadObject"
    private let key: ObjectKey
    private let completion: @Sendable (Result<ObjectHead, StoreError>) -> Void
    private var object: ObjectHead?

    init(
        _ key: ObjectKey,
        _ completion: @escaping @Sendable (Result<ObjectHead, StoreError>) -> Void
    ) {
        self.key = key
        self.completion = completion
    }

    var isComplete: Bool { object != nil }

    func spec() -> RequestSpec {
        RequestSpec(operation: operation, method: "HEAD", key: key.bytes)
    }

    func begin(_ head: HTTPResponseHead, _ context: ResponseContext) -> AttemptFailure? {
        let headers = AnswerHeaders(head)
        guard let size = headers.contentLength, let object = headers.object(key, size: size)
        else {
            return context.malformed("the answer lacks Content-Length, ETag or Last-Modified")
        }
        self.object = object
        return nil
    }

    func take(_ bytes: UnsafeRawBufferPointer) -> Taken { .enough }

    func end() -> AttemptFailure? { nil }

    func finish(_ result: Result<Void, StoreError>) { completion(result.map { object! }) }
}

/// HeadBucket.
final class HeadBucketExchange: Exchange, @unchecked Sendable {
    let operation = "HeadBucket"
    private let completion: @Sendable (Result<String?, StoreError>) -> Void
    private var region: String?

    init(_ completion: @escaping @Sendable (Result<String?, StoreError>) -> Void) {
        self.completion = completion
    }

    var isComplete: Bool { false }

    func spec() -> RequestSpec { RequestSpec(operation: operation, method: "HEAD", key: nil) }

    func begin(_ head: HTTPResponseHead, _ context: ResponseContext) -> AttemptFailure? {
        region = head.first("x-amz-bucket-region")
        return nil
    }

    func take(_ bytes: UnsafeRawBufferPointer) -> Taken { .enough }

    func end() -> AttemptFailure? { nil }

    func finish(_ result: Result<Void, StoreError>) { completion(result.map { region }) }
}

/// GetBucketLocation.
final class LocationExchange: Exchange, @unchecked Sendable {
    let operation = "GetBucketLocation"
    private let completion: @Sendable (Result<String, StoreError>) -> Void
    private var document = LocationDocument()
    private var reader: XMLReader?
    private var context: ResponseContext?

    init(_ completion: @escaping @Sendable (Result<String, StoreError>) -> Void) {
        self.completion = completion
    }

    var isComplete: Bool { false }

    func spec() -> RequestSpec {
        var query = QueryWriter()
        query.add("location", "")
        return RequestSpec(operation: operation, method: "GET", key: nil, query: query.bytes)
    }

    func begin(_ head: HTTPResponseHead, _ context: ResponseContext) -> AttemptFailure? {
        document = LocationDocument()
        reader = XMLReader(document, sizeLimit: 64 << 10)
        self.context = context
        return nil
    }

    func take(_ bytes: UnsafeRawBufferPointer) -> Taken {
        do throws(XMLProblem) {
            try unsafe reader?.parse(bytes)
            return .more
        } catch {
            return .failed(context!.malformed(error.message))
        }
    }

    func end() -> AttemptFailure? {
        guard let context, let reader else { return nil }
        self.reader = nil
        do throws(XMLProblem) {
            try reader.finish()
            return document.isLocation ? nil : context.malformed("the answer is no location")
        } catch {
            return context.malformed(error.message)
        }
    }

    func finish(_ result: Result<Void, StoreError>) {
        completion(result.map { document.constraint })
    }
}
