public import S3

/// One version of one object, as a file shows it.
public struct ObjectVersion: Hashable, Sendable {
    public var key: ObjectKey
    public var etag: ETag
    /// Bytes.
    public var size: Int64
    /// Since 1970-01-01T00:00:00Z, in nanoseconds.
    public var modified: Int64
    public var storageClass: StorageClass

    public init(
        key: ObjectKey, etag: ETag, size: Int64, modified: Int64,
        storageClass: StorageClass = .standard
    ) {
        self.key = key
        self.etag = etag
        self.size = size
        self.modified = modified
        self.storageClass = storageClass
    }
}
