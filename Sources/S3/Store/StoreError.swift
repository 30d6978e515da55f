/// Why a request to the store failed for good (retries are over).
public struct StoreError: Error, Hashable, Sendable {
    /// The cause, as far as it decides what to do next.
    public enum Kind: Hashable, Sendable {
        /// No such key (or version).
        case notFound
        case noSuchBucket
        /// The credentials are good, but not for this.
        case accessDenied
        /// The key id is unknown, the secret is wrong, the token has expired, or there are none.
        case badCredentials
        /// The local clock is off (RequestTimeTooSkewed).
        case clockSkew
        /// The bucket lives elsewhere and the redirect could not be followed.
        case wrongRegion
        /// If-Match failed: the object is not the version asked for any more. Or, for a write that
        /// wants the key absent: it exists.
        case preconditionFailed
        /// Another write of the same key is under way (409); trying again later helps.
        case conflict
        /// The bucket's or user's quota is used up.
        case quotaExceeded
        /// Larger than S3 takes.
        case tooLarge
        /// The server does not do that at all (501).
        case notImplemented
        /// The bytes did not arrive as they were sent (BadDigest and the like), again and again.
        case corrupted
        /// No such multipart upload: completed, aborted or expired.
        case noSuchUpload
        /// The body's bytes could not be read here.
        case bodyUnreadable
        /// The range begins past the object's end (416).
        case invalidRange
        /// The object is archived and must be restored first (InvalidObjectState).
        case archived
        /// 503 SlowDown, 429, 500, 502, 504 until the deadline.
        case unavailable
        /// The deadline passed.
        case timedOut
        /// No connection: name, refused, reset, unreachable.
        case network
        /// The certificate does not fit, or TLS failed.
        case tls
        /// The answer makes no sense (broken XML, wrong Content-Range, lying size).
        case malformedResponse
        case cancelled
        /// Anything else the server said; see `code`.
        case other
    }

    public var kind: Kind
    /// "GetObject", "ListObjectsV2", ...
    public var operation: String
    /// S3's code, e.g. "NoSuchKey".
    public var code: String?
    public var status: Int?
    public var requestID: String?
    /// One line, without secrets.
    public var message: String

    public init(
        kind: Kind, operation: String, code: String? = nil, status: Int? = nil,
        requestID: String? = nil, message: String
    ) {
        self.kind = kind
        self.operation = operation
        self.code = code
        self.status = status
        self.requestID = requestID
        self.message = message
    }
}

extension StoreError: CustomStringConvertible {
    /// One line: `GetObject: AccessDenied (403): Access Denied [request tx00…]`.
    public var description: String {
        var text = operation + ": "
        if let code { text += code }
        if let status { text += code == nil ? "HTTP \(status)" : " (\(status))" }
        if code != nil || status != nil { text += ": " }
        text += message
        if let requestID { text += " [request \(requestID)]" }
        return text
    }
}
