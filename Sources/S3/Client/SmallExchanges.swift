// ListObjectsV2, HeadObject, HeadBucket and GetBucketLocation. Each attempt begins from nothing.
//
// The classes are used from one thread at a time (see Exchange), hence @unchecked.

internal import Transport

/// ListObjectsV2.
func listExchange(
    _ request: ListRequest,
    _ completion: @escaping @Sendable (Result<ListPage, StoreError>) -> Void
) -> AnswerExchange<ListDocument, ListPage> {
    AnswerExchange(
        "ListObjectsV2",
        // 1,000 keys of 1,024 bytes, every byte encoded, and their fields take 4 MB.
        sizeLimit: 16 << 20, request: { listSpec(request) },
        reading: { answer in
            guard answer.head.status == 200 else {
                return .failure(answer.context.malformed("status \(answer.head.status)"))
            }
            do throws(XMLProblem) {
                return .success(try answer.document.finished())
            } catch {
                return .failure(answer.context.malformed(error.message))
            }
        }, completion: completion)
}

private func listSpec(_ request: ListRequest) -> RequestSpec {
    var query = QueryWriter()
    if let token = request.continuationToken { query.add("continuation-token", token) }
    if request.delimited { query.add("delimiter", "/") }
    query.add("encoding-type", "url")
    query.add("list-type", "2")
    query.add("max-keys", String(min(max(request.maxKeys, 1), 1000)))
    if !request.prefix.isEmpty { query.add("prefix", request.prefix) }
    if let after = request.startAfter, request.continuationToken == nil {
        query.add("start-after", after)
    }
    return RequestSpec(operation: "ListObjectsV2", method: "GET", key: nil, query: query.bytes)
}

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
