// What the writing half of a mount is told at its start.

public import S3

/// Settings of writing.
public struct WritingConfiguration: Sendable {
    /// Bytes of the first parts of a multipart upload.
    public var partSize: Int64
    /// True when all parts are to have that size; else they grow, so that 5 TiB fit.
    public var hasFixedParts: Bool
    /// Bytes up to which a file is published by one PutObject.
    public var putLimit: Int64
    /// Bytes of the smallest part that the server takes (but for the last).
    public var smallestPart: Int64
    /// Uploads under way at once.
    public var parallelUploads: Int
    /// How long changed attributes of a published file are gathered before they are published.
    public var gatherTime: Duration
    /// Content-Type of a new object by its key.
    public var contentType: @Sendable (ObjectKey) -> String?
    /// Cache-Control of a new object by its key.
    public var cacheControl: @Sendable (ObjectKey) -> String?
    /// Bytes of the largest object that is brought here when it is removed while somebody has it open.
    public var homeLimit: Int64
    /// close(2) is answered when the bytes are safe on the local disk; they are published behind.
    public var isWriteBack: Bool
    /// How long a closed file waits before it is published behind: what is changed or renamed
    /// meanwhile costs nothing more.
    public var writeBackDelay: Duration
    /// The size of the file system that statfs(2) shows, in bytes; nil for "plenty".
    public var quota: Int64?

    public init(
        partSize: Int64 = 8 << 20, hasFixedParts: Bool = false, putLimit: Int64 = 16 << 20,
        smallestPart: Int64 = UploadLimits.smallestPart, parallelUploads: Int = 16,
        gatherTime: Duration = .seconds(2),
        contentType: @escaping @Sendable (ObjectKey) -> String? = { _ in nil },
        cacheControl: @escaping @Sendable (ObjectKey) -> String? = { _ in nil },
        homeLimit: Int64 = 64 << 20, isWriteBack: Bool = false,
        writeBackDelay: Duration = .seconds(1), quota: Int64? = nil
    ) {
        self.partSize = partSize
        self.hasFixedParts = hasFixedParts
        self.putLimit = putLimit
        self.smallestPart = smallestPart
        self.parallelUploads = parallelUploads
        self.gatherTime = gatherTime
        self.contentType = contentType
        self.cacheControl = cacheControl
        self.homeLimit = homeLimit
        self.isWriteBack = isWriteBack
        self.writeBackDelay = writeBackDelay
        self.quota = quota
    }

    /// Bytes of a file that may wait while its parts are sent: enough to keep all of them going.
    var streamWindow: Int64 { min(partSize * Int64(parallelUploads), 128 << 20) }

    var layout: PartLayout { PartLayout(first: partSize, isFixed: hasFixedParts) }
}
