// The seam between the file system and S3: what tests can play.
//
// Calls return at once; answers come on a thread of the store (never the caller's stack), exactly
// once each. Receivers must not block. A cancelled call still answers, with `.cancelled`.

/// The reading half of a bucket.
public protocol ObjectStore: Sendable {
    /// One page of ListObjectsV2.
    /// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
    @discardableResult
    func list(
        _ request: ListRequest,
        completion: @escaping @Sendable (Result<ListPage, StoreError>) -> Void
    ) -> any Cancellable

    /// One page, and a word ahead of it where the next page begins, so that it can be asked for while
    /// this one is still read.
    ///
    /// - Parameter onNext: called at most once and before `completion`, or never. Not to be relied
    ///   on: only the page's own `nextToken` says how the listing goes on.
    @discardableResult
    func list(
        _ request: ListRequest, onNext: @escaping @Sendable (String) -> Void,
        completion: @escaping @Sendable (Result<ListPage, StoreError>) -> Void
    ) -> any Cancellable

    /// HeadObject. A missing key is `StoreError.Kind.notFound`.
    @discardableResult
    func head(
        _ key: ObjectKey,
        completion: @escaping @Sendable (Result<ObjectHead, StoreError>) -> Void
    ) -> any Cancellable

    /// GetObject, whole or a range, streamed into `receiver`. A body that breaks off is resumed by
    /// the store (with If-Match on the ETag it began with), so the receiver sees each byte once, in
    /// order.
    @discardableResult
    func get(_ request: GetRequest, receiver: any GetReceiver) -> any Cancellable

    /// The object's plain HTTPS (or HTTP) address without a signature, for `user.s3.url`.
    func url(of key: ObjectKey) -> String
}

extension ObjectStore {
    /// For stores that know no better: tells of the next page when this one is there.
    @discardableResult
    public func list(
        _ request: ListRequest, onNext: @escaping @Sendable (String) -> Void,
        completion: @escaping @Sendable (Result<ListPage, StoreError>) -> Void
    ) -> any Cancellable {
        list(request) { result in
            if case .success(let page) = result, let token = page.nextToken { onNext(token) }
            completion(result)
        }
    }
}

/// A call that can be given up.
public protocol Cancellable: AnyObject, Sendable {
    /// Asks for the call to end early; it then answers `.cancelled` unless it was already answered.
    func cancel()
}

/// Takes the bytes of one GetObject. Called from one thread at a time.
public protocol GetReceiver: AnyObject, Sendable {
    /// Once, before any bytes, when the server answered 200 or 206.
    func receive(head: ObjectHead)
    /// The next bytes; `offset` is their place in the object. Only valid during the call.
    func receive(bytes: UnsafeRawBufferPointer, at offset: Int64)
    /// Last call, exactly once; on success every byte asked for (up to the object's end) was received.
    func finish(_ result: Result<Void, StoreError>)
}

/// What to list.
public struct ListRequest: Hashable, Sendable {
    /// Only keys that begin with these bytes.
    public var prefix: [UInt8]
    /// True groups keys by `/` behind the prefix into common prefixes.
    public var delimited: Bool
    /// Only keys after this one (exclusive, bytewise).
    public var startAfter: [UInt8]?
    /// The token of the page before.
    public var continuationToken: String?
    /// At most this many keys and prefixes; S3 gives no more than 1,000.
    public var maxKeys: Int

    public init(
        prefix: [UInt8], delimited: Bool = true, startAfter: [UInt8]? = nil,
        continuationToken: String? = nil, maxKeys: Int = 1000
    ) {
        self.prefix = prefix
        self.delimited = delimited
        self.startAfter = startAfter
        self.continuationToken = continuationToken
        self.maxKeys = maxKeys
    }
}

/// One page of a listing, both lists in bytewise order.
public struct ListPage: Sendable {
    public var objects: [ObjectSummary]
    /// Whole prefixes, each ending in `/`.
    public var commonPrefixes: [[UInt8]]
    /// Nil on the last page.
    public var nextToken: String?

    public init(objects: [ObjectSummary], commonPrefixes: [[UInt8]], nextToken: String?) {
        self.objects = objects
        self.commonPrefixes = commonPrefixes
        self.nextToken = nextToken
    }
}

/// What to get.
public struct GetRequest: Hashable, Sendable {
    public var key: ObjectKey
    /// Bytes wanted, nil for the whole object. Never empty; may reach past the object's end.
    public var range: Range<Int64>?
    /// Only this version; else `StoreError.Kind.preconditionFailed`.
    public var ifMatch: ETag?

    public init(key: ObjectKey, range: Range<Int64>? = nil, ifMatch: ETag? = nil) {
        self.key = key
        self.range = range
        self.ifMatch = ifMatch
    }
}
