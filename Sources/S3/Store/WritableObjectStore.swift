// The writing half of a bucket: the seam that the file system publishes through and tests can play.
//
// Calls return at once; answers come on a thread of the store (never the caller's stack), exactly
// once each. A cancelled call still answers. A call that answers an error may have been carried out
// all the same (an answer that was lost on its way): whoever must know looks.

/// A bucket that can be changed.
public protocol WritableObjectStore: ObjectStore {
    /// PutObject.
    /// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
    @discardableResult
    func put(
        _ request: PutRequest,
        completion: @escaping @Sendable (Result<WrittenObject, StoreError>) -> Void
    ) -> any Cancellable

    /// CopyObject: at most 5 GiB, else `StoreError.Kind.tooLarge`.
    @discardableResult
    func copy(
        _ request: CopyRequest,
        completion: @escaping @Sendable (Result<WrittenObject, StoreError>) -> Void
    ) -> any Cancellable

    /// DeleteObject. A key that does not exist is deleted already: success.
    @discardableResult
    func delete(
        _ key: ObjectKey, completion: @escaping @Sendable (Result<Void, StoreError>) -> Void
    ) -> any Cancellable

    /// DeleteObjects, at most 1,000 keys. Answers the keys that were not deleted, and why.
    @discardableResult
    func delete(
        _ keys: [ObjectKey],
        completion: @escaping @Sendable (Result<[ObjectKey: StoreError], StoreError>) -> Void
    ) -> any Cancellable

    // MARK: Multipart uploads

    /// CreateMultipartUpload. The headers are fixed here; the parts follow.
    @discardableResult
    func createUpload(
        _ key: ObjectKey, headers: ObjectHeaders,
        completion: @escaping @Sendable (Result<MultipartUpload, StoreError>) -> Void
    ) -> any Cancellable

    /// UploadPart. A part number that was uploaded before is replaced.
    @discardableResult
    func uploadPart(
        _ upload: MultipartUpload, number: Int, body: any UploadBody,
        completion: @escaping @Sendable (Result<UploadedPart, StoreError>) -> Void
    ) -> any Cancellable

    /// UploadPartCopy of a range of an object, if that is still of version `source.etag`.
    /// `StoreError.Kind.notImplemented` when the server can't.
    @discardableResult
    func copyPart(
        _ upload: MultipartUpload, number: Int, source: CopySource, range: Range<Int64>,
        completion: @escaping @Sendable (Result<UploadedPart, StoreError>) -> Void
    ) -> any Cancellable

    /// CompleteMultipartUpload. An answer of 200 that holds an error is an error.
    ///
    /// - Parameter parts: ascending by number; all but the last of at least 5 MiB.
    @discardableResult
    func completeUpload(
        _ upload: MultipartUpload, parts: [UploadedPart], condition: WriteCondition,
        completion: @escaping @Sendable (Result<WrittenObject, StoreError>) -> Void
    ) -> any Cancellable

    /// AbortMultipartUpload. An upload that does not exist is aborted already: success.
    @discardableResult
    func abortUpload(
        _ upload: MultipartUpload,
        completion: @escaping @Sendable (Result<Void, StoreError>) -> Void
    ) -> any Cancellable

    /// ListParts, all pages.
    @discardableResult
    func listParts(
        _ upload: MultipartUpload,
        completion: @escaping @Sendable (Result<[UploadedPart], StoreError>) -> Void
    ) -> any Cancellable

    /// What the server has shown that it can do, as far as it was found out.
    var capabilities: StoreCapabilities { get }
}

/// The bytes of a PutObject or an UploadPart. They do not change while the call runs.
public protocol UploadBody: AnyObject, Sendable {
    /// Bytes.
    var size: Int64 { get }
    /// Copies `memory.count` bytes from `offset` on (never past the end). Called on a transport
    /// thread, in order within an attempt, again from the start for the next attempt; must not wait
    /// for the network.
    ///
    /// - Returns: false when the bytes cannot be had; the call then ends with
    ///   `StoreError.Kind.bodyUnreadable`.
    func read(at offset: Int64, into memory: UnsafeMutableRawBufferPointer) -> Bool
}

/// When a write is to be refused. Source:
/// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
public enum WriteCondition: Hashable, Sendable {
    case none
    /// The key must not exist (`If-None-Match: *`).
    case absent
    /// The key must be this version (`If-Match`).
    case matches(ETag)
}

/// What is kept with an object besides its bytes. Nil headers are not sent.
public struct ObjectHeaders: Hashable, Sendable {
    public var contentType: String?
    public var cacheControl: String?
    public var contentEncoding: String?
    public var contentDisposition: String?
    public var contentLanguage: String?
    public var expires: String?
    /// Nil: the source's default, else the bucket's.
    public var storageClass: StorageClass?
    /// User metadata: names in lower case without `x-amz-meta-`.
    public var metadata: [String: String]

    public init(
        contentType: String? = nil, cacheControl: String? = nil, contentEncoding: String? = nil,
        contentDisposition: String? = nil, contentLanguage: String? = nil,
        expires: String? = nil, storageClass: StorageClass? = nil,
        metadata: [String: String] = [:]
    ) {
        self.contentType = contentType
        self.cacheControl = cacheControl
        self.contentEncoding = contentEncoding
        self.contentDisposition = contentDisposition
        self.contentLanguage = contentLanguage
        self.expires = expires
        self.storageClass = storageClass
        self.metadata = metadata
    }
}

/// What to put.
public struct PutRequest: Sendable {
    public var key: ObjectKey
    /// Nil for an object of no bytes.
    public var body: (any UploadBody)?
    public var headers: ObjectHeaders
    public var condition: WriteCondition

    public init(
        key: ObjectKey, body: (any UploadBody)?, headers: ObjectHeaders,
        condition: WriteCondition = .none
    ) {
        self.key = key
        self.body = body
        self.headers = headers
        self.condition = condition
    }
}

/// One version of an object to copy from.
public struct CopySource: Hashable, Sendable {
    public var key: ObjectKey
    /// Only this version (`x-amz-copy-source-if-match`); else `preconditionFailed`.
    public var etag: ETag?

    public init(key: ObjectKey, etag: ETag?) {
        self.key = key
        self.etag = etag
    }
}

/// What to copy, within the bucket.
public struct CopyRequest: Sendable {
    public var source: CopySource
    public var key: ObjectKey
    /// Nil keeps the source's headers (`x-amz-metadata-directive: COPY`); else they are replaced.
    public var headers: ObjectHeaders?
    /// On the target.
    public var condition: WriteCondition

    public init(
        source: CopySource, key: ObjectKey, headers: ObjectHeaders? = nil,
        condition: WriteCondition = .none
    ) {
        self.source = source
        self.key = key
        self.headers = headers
        self.condition = condition
    }
}

/// A version that was just written.
public struct WrittenObject: Hashable, Sendable {
    public var etag: ETag
    public var versionID: String?
    /// LastModified as the answer tells it (a copy's XML, else the answer's Date), since
    /// 1970-01-01T00:00:00Z, in nanoseconds; nil when it does not.
    public var modified: Int64?

    public init(etag: ETag, versionID: String? = nil, modified: Int64? = nil) {
        self.etag = etag
        self.versionID = versionID
        self.modified = modified
    }
}

/// A multipart upload under way.
public struct MultipartUpload: Hashable, Sendable {
    public var key: ObjectKey
    /// The server's UploadId.
    public var id: String

    public init(key: ObjectKey, id: String) {
        self.key = key
        self.id = id
    }
}

/// A part that the server has.
public struct UploadedPart: Hashable, Sendable {
    /// 1...10,000.
    public var number: Int
    public var etag: ETag
    /// Bytes; 0 when the answer did not tell (UploadPartCopy).
    public var size: Int64
    /// The checksum the server confirmed, as `crc32c:BASE64`; sent again at completion.
    public var checksum: String?

    public init(number: Int, etag: ETag, size: Int64, checksum: String? = nil) {
        self.number = number
        self.etag = etag
        self.size = size
        self.checksum = checksum
    }
}

/// What a server does of what not every server does. Nil: not found out yet.
public struct StoreCapabilities: Hashable, Sendable {
    /// If-Match and If-None-Match on PutObject.
    public var conditionalPut: Bool?
    /// The same on CompleteMultipartUpload.
    public var conditionalComplete: Bool?
    /// The same on CopyObject (on the target).
    public var conditionalCopy: Bool?
    public var partCopy: Bool?
    /// x-amz-checksum-crc32c; without, Content-MD5 and the ETag are what is verified.
    public var checksums: Bool?

    public init(
        conditionalPut: Bool? = nil, conditionalComplete: Bool? = nil,
        conditionalCopy: Bool? = nil, partCopy: Bool? = nil, checksums: Bool? = nil
    ) {
        self.conditionalPut = conditionalPut
        self.conditionalComplete = conditionalComplete
        self.conditionalCopy = conditionalCopy
        self.partCopy = partCopy
        self.checksums = checksums
    }
}

/// Limits that S3 sets to uploads.
/// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
public enum UploadLimits {
    public static let parts = 10_000
    /// Bytes of every part but the last, at least.
    public static let smallestPart: Int64 = 5 << 20
    /// Bytes of a part, of a PutObject and of a CopyObject, at most.
    public static let largestPart: Int64 = 5 << 30
    public static let largestObject: Int64 = 5 << 40
    /// Bytes of user metadata: names and values.
    public static let metadata = 2048
}
