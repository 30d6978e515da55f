// HeadObject, HeadBucket and GetBucketLocation. Each attempt begins from nothing.
//
// The classes are used from one thread at a time (see Exchange), hence @unchecked.

internal import Transport

/// GetBucketLocation.
func locationExchange(
    _ completion: @escaping @Sendable (Result<String, StoreError>) -> Void
) -> AnswerExchange<LocationDocument, String> {
    AnswerExchange(
        "GetBucketLocation", sizeLimit: 64 << 10,
        request: {
            var query = QueryWriter()
            query.add("location", "")
            return RequestSpec(
                operation: "GetBucketLocation", method: "GET", key: nil, query: query.bytes)
        }, reading: { .success($0.document.constraint) }, completion: completion)
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
        RequestSpec(
            operation: operation, method: "HEAD", key: key.bytes, hasCustomerKey: true)
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
