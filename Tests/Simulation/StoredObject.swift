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

    public var size: Int64 { Int64(bytes.count) }

    public var summary: ObjectSummary {
        ObjectSummary(
            key: key, size: size, etag: etag, modified: modified, storageClass: storageClass)
    }

    public var head: ObjectHead {
        ObjectHead(
            key: key, size: size, etag: etag, modified: modified, storageClass: storageClass,
            contentType: contentType, versionID: versionID, isRestored: isRestored,
            metadata: metadata)
    }

    /// The ETag of the `number`th content of a bucket, in one of the forms that servers give: an MD5,
    /// a multipart upload's, or anything.
    static func etag(_ number: Int) -> ETag {
        var generator = SeededGenerator(seed: UInt64(number))
        let word = { (value: UInt64) in
            let digits = String(value, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }
        let digest = word(generator.next()) + word(generator.next())
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
}
