public import S3

/// One version of an object in a simulated bucket.
public struct StoredObject: Hashable, Sendable {
    public var key: ObjectKey
    public var bytes: [UInt8]
    public var etag: ETag
    /// Nanoseconds since 1970, whole seconds, as S3 has it.
    public var modified: Int64
    public var storageClass: StorageClass
    public var contentType: String?
    public var metadata: [String: String]
    public var versionID: String
    /// An archived object that has a restored copy.
    public var isRestored: Bool = false
    public var cacheControl: String?
    public var contentEncoding: String?
    public var contentDisposition: String?
    public var contentLanguage: String?
    public var expires: String?

    public var size: Int64 { Int64(bytes.count) }

    public var summary: ObjectSummary {
        ObjectSummary(
            key: key, size: size, etag: etag, modified: modified, storageClass: storageClass)
    }

    public var head: ObjectHead {
        var head = ObjectHead(
            key: key, size: size, etag: etag, modified: modified, storageClass: storageClass,
            contentType: contentType, versionID: versionID, isRestored: isRestored,
            metadata: metadata)
        head.cacheControl = cacheControl
        head.contentEncoding = contentEncoding
        head.contentDisposition = contentDisposition
        head.contentLanguage = contentLanguage
        head.expires = expires
        return head
    }

    /// What was kept with the object when it was written.
    public var headers: ObjectHeaders {
        get {
            ObjectHeaders(
                contentType: contentType, cacheControl: cacheControl,
                contentEncoding: contentEncoding, contentDisposition: contentDisposition,
                contentLanguage: contentLanguage, expires: expires, storageClass: storageClass,
                metadata: metadata)
        }
        set {
            contentType = newValue.contentType
            cacheControl = newValue.cacheControl
            contentEncoding = newValue.contentEncoding
            contentDisposition = newValue.contentDisposition
            contentLanguage = newValue.contentLanguage
            expires = newValue.expires
            storageClass = newValue.storageClass ?? .standard
            metadata = newValue.metadata
        }
    }

    /// The ETag of the `number`th content of a bucket, in one of the forms that servers give: an MD5,
    /// a multipart upload's, or anything.
    static func etag(_ number: Int) -> ETag {
        var generator = SeededGenerator(seed: UInt64(number))
        let digest = ContentDigest.text(generator.next(), generator.next())
        switch number % 5 {
        case 3: return ETag(digest + "-\(number % 9999 + 1)")
        case 4: return ETag("odd.\(number)")
        default: return ETag(digest)
        }
    }
}

/// A change of one key.
public struct KeyChange: Sendable {
    /// By the scheduler's clock.
    public var time: Duration
    /// What the key holds since then; nil when it was deleted.
    public var object: StoredObject?
    /// The request that changed it; nil for another client's change.
    public var cause: StoreOperation?
}
