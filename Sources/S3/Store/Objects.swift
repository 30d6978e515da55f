/// A key: the bytes S3 knows an object by, without the bucket. Ordered bytewise, as S3 lists.
public struct ObjectKey: Hashable, Sendable {
    public var bytes: [UInt8]

    public init(_ bytes: [UInt8]) { self.bytes = bytes }
    public init(_ text: String) { self.bytes = Array(text.utf8) }
}

extension ObjectKey: Comparable {
    public static func < (a: ObjectKey, b: ObjectKey) -> Bool {
        a.bytes.lexicographicallyPrecedes(b.bytes)
    }
}

extension ObjectKey: CustomStringConvertible {
    /// The key for messages: invalid UTF-8 and control characters are escaped.
    public var description: String {
        var text = ""
        for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
            let plain = scalar.value >= 0x20 && scalar.value != 0x7F
            text += plain ? String(scalar) : scalar.escaped(asASCII: true)
        }
        return text
    }
}

/// An entity tag without its quotes. Names one version of an object's bytes.
public struct ETag: Hashable, Sendable {
    public var text: String

    public init(_ text: String) { self.text = text }
}

/// A storage class as S3 spells it; `STANDARD` when the server names none.
public struct StorageClass: Hashable, Sendable, RawRepresentable {
    public let rawValue: String

    public init(rawValue: String) { self.rawValue = rawValue }

    public static let standard = StorageClass(rawValue: "STANDARD")

    /// True for classes whose objects must be restored before they can be read.
    public var isArchived: Bool { rawValue == "GLACIER" || rawValue == "DEEP_ARCHIVE" }
}

/// What a listing tells of an object.
public struct ObjectSummary: Hashable, Sendable {
    public var key: ObjectKey
    /// Bytes.
    public var size: Int64
    public var etag: ETag
    /// Since 1970-01-01T00:00:00Z, in nanoseconds.
    public var modified: Int64
    public var storageClass: StorageClass

    public init(
        key: ObjectKey, size: Int64, etag: ETag, modified: Int64,
        storageClass: StorageClass = .standard
    ) {
        self.key = key
        self.size = size
        self.etag = etag
        self.modified = modified
        self.storageClass = storageClass
    }
}

/// What HeadObject (or the headers of GetObject) tell of an object.
public struct ObjectHead: Hashable, Sendable {
    public var key: ObjectKey
    /// Bytes of the whole object, also when a range was asked for.
    public var size: Int64
    public var etag: ETag
    /// Since 1970-01-01T00:00:00Z, in nanoseconds (whole seconds on most servers).
    public var modified: Int64
    public var storageClass: StorageClass
    public var contentType: String?
    public var versionID: String?
    /// True while an archived object has a restored copy (`x-amz-restore: ongoing-request="false"`).
    public var isRestored: Bool
    /// User metadata: names in lower case without `x-amz-meta-`.
    public var metadata: [String: String]
    public var cacheControl: String?
    public var contentEncoding: String?
    public var contentDisposition: String?
    public var contentLanguage: String?
    public var expires: String?

    public init(
        key: ObjectKey, size: Int64, etag: ETag, modified: Int64,
        storageClass: StorageClass = .standard, contentType: String? = nil,
        versionID: String? = nil, isRestored: Bool = false, metadata: [String: String] = [:]
    ) {
        self.key = key
        self.size = size
        self.etag = etag
        self.modified = modified
        self.storageClass = storageClass
        self.contentType = contentType
        self.versionID = versionID
        self.isRestored = isRestored
        self.metadata = metadata
    }
}
