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

    /// The ETag of these bytes: as on S3, the same bytes have the same ETag and others another one.
    public static func etag(of bytes: [UInt8]) -> ETag {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        bytes.withUnsafeBytes { raw in
            var index = 0
            while index + 8 <= raw.count {
                let word = raw.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                hash = (hash ^ word) &* 0x9E37_79B9_7F4A_7C15
                hash ^= hash >> 29
                index += 8
            }
            while index < raw.count {
                hash = (hash ^ UInt64(raw[index])) &* 0x0000_0100_0000_01B3
                index += 1
            }
        }
        return ETag(String(hash, radix: 16) + "-" + String(bytes.count, radix: 16))
    }
}

/// A change of one key.
public struct KeyChange: Sendable {
    /// By the scheduler's clock.
    public var time: Duration
    /// What the key holds since then; nil when it was deleted.
    public var object: StoredObject?
}
