// What is sent with every object that is written: storage class, ACL, encryption, tags.
// A customer's key never shows in descriptions, logs or errors.

/// How the server encrypts what is written.
public enum Encryption: Hashable, Sendable {
    /// As the bucket is set up.
    case none
    /// SSE-S3: `AES256`.
    case s3
    /// SSE-KMS: `aws:kms`, with the bucket's or the account's key when none is named.
    case kms(keyID: String?, bucketKey: Bool)
    /// SSE-C: the key goes with every request that touches the object.
    case customer(CustomerKey)

    var customerKey: CustomerKey? {
        if case .customer(let key) = self { return key }
        return nil
    }

    /// True when an ETag says nothing of the object's bytes.
    var hidesETags: Bool {
        switch self {
        case .none, .s3: false
        case .kms, .customer: true
        }
    }

    /// The headers of a write, but for those of a customer's key.
    var headers: [(name: String, value: String)] {
        switch self {
        case .none, .customer: []
        case .s3: [("x-amz-server-side-encryption", "AES256")]
        case .kms(let keyID, let bucketKey):
            [("x-amz-server-side-encryption", "aws:kms")]
                + (keyID.map { [("x-amz-server-side-encryption-aws-kms-key-id", $0)] } ?? [])
                + (bucketKey
                    ? [("x-amz-server-side-encryption-bucket-key-enabled", "true")] : [])
        }
    }
}

/// A key of SSE-C.
public struct CustomerKey: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
    private let key: String
    private let digest: String

    /// Nil unless there are 32 bytes.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        key = Base64.encode(bytes)
        digest = Base64.encode(MD5.hash(bytes))
    }

    public var description: String { "[removed]" }
    public var customMirror: Mirror { Mirror(self, children: []) }

    /// - Parameter prefix: `x-amz-`, or `x-amz-copy-source-` for what is read by a copy.
    func headers(_ prefix: String) -> [(name: String, value: String)] {
        let start = prefix + "server-side-encryption-customer-"
        return [(start + "algorithm", "AES256"), (start + "key", key), (start + "key-md5", digest)]
    }
}

/// What goes with every write, copy and multipart upload.
/// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
public struct WriteOptions: Hashable, Sendable {
    /// For objects whose headers name none.
    public var storageClass: StorageClass?
    /// A canned ACL, as `bucket-owner-full-control`.
    public var acl: String?
    public var encryption: Encryption
    /// Tags of every object.
    public var tags: [Tag]

    /// A name and a value.
    public struct Tag: Hashable, Sendable {
        public var name: String
        public var value: String

        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    public init(
        storageClass: StorageClass? = nil, acl: String? = nil, encryption: Encryption = .none,
        tags: [Tag] = []
    ) {
        self.storageClass = storageClass
        self.acl = acl
        self.encryption = encryption
        self.tags = tags
    }

    /// `x-amz-tagging`, nil without tags.
    var tagging: String? {
        if tags.isEmpty { return nil }
        var text: [UInt8] = []
        for tag in tags {
            if !text.isEmpty { text.append(0x26) }
            PercentEncoding.append(Array(tag.name.utf8), keepsSlash: false, to: &text)
            text.append(0x3D)
            PercentEncoding.append(Array(tag.value.utf8), keepsSlash: false, to: &text)
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The headers of a new object.
    ///
    /// - Parameter replacesTags: true for a copy, which keeps the source's tags otherwise.
    func headers(storageClass own: StorageClass?, replacesTags: Bool = false)
        -> [(name: String, value: String)]
    {
        var headers = encryption.headers
        if let acl { headers.append(("x-amz-acl", acl)) }
        if let name = own ?? storageClass { headers.append(("x-amz-storage-class", name.rawValue)) }
        if let tagging {
            headers.append(("x-amz-tagging", tagging))
            if replacesTags { headers.append(("x-amz-tagging-directive", "REPLACE")) }
        }
        return headers
    }
}

extension ObjectHeaders {
    /// As they are signed and sent.
    var fields: [(name: String, value: String)] {
        let plain: [(String, String?)] = [
            ("content-type", contentType), ("cache-control", cacheControl),
            ("content-encoding", contentEncoding), ("content-disposition", contentDisposition),
            ("content-language", contentLanguage), ("expires", expires),
        ]
        var fields: [(name: String, value: String)] = []
        for (name, value) in plain {
            if let value { fields.append((name, value)) }
        }
        for (name, value) in metadata { fields.append(("x-amz-meta-" + name, value)) }
        return fields
    }
}

extension WriteCondition {
    /// RGW compares If-Match of a PUT with the ETag without quotes; AWS, MinIO and moto take both.
    var fields: [(name: String, value: String)] {
        switch self {
        case .none: []
        case .absent: [("if-none-match", "*")]
        case .matches(let etag): [("if-match", etag.text)]
        }
    }
}
