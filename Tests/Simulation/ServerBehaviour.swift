// What one server does and another does not, and its limits: servers differ most where they are
// written to.

public import S3

/// The kind of server that a simulated bucket is of. The default is S3 itself.
public struct ServerBehaviour: Sendable {
    /// Looks at If-Match and If-None-Match of PutObject; else they are ignored.
    public var honoursPutConditions = true
    /// The same of CompleteMultipartUpload.
    public var honoursCompleteConditions = true
    /// The same of CopyObject, on its target.
    public var honoursCopyConditions = true
    /// Does UploadPartCopy; else it answers 501.
    public var hasPartCopy = true
    /// Answers 404 when If-Match names a key that is not there, else 412.
    public var missingIsNotFound = true
    /// LastModified of a multipart object is when its upload was created, as S3 has it; else when it
    /// was completed, as others have it.
    public var datesUploadsAtCreation = true
    /// `capabilities` tells everything from the start, as after the check before a mount; else only
    /// what answers have shown.
    public var isProbed = true

    /// Bytes of every part but the last, at least.
    public var smallestPart = UploadLimits.smallestPart
    /// Bytes of a PutObject, a part and a CopyObject, at most.
    public var largestPart = UploadLimits.largestPart
    public var largestObject = UploadLimits.largestObject
    /// Bytes of all objects and parts together; nil for no limit.
    public var quota: Int64?
    /// Permissions of the credentials, which may be revoked at any time.
    public var mayWrite = true
    public var mayDelete = true

    public init() {}

    /// Draws a server for a random test, with small limits that tiny parts reach.
    ///
    /// - Parameter smallestPart: bytes.
    public static func random(
        smallestPart: Int64, using generator: inout SeededGenerator
    ) -> ServerBehaviour {
        var server = ServerBehaviour()
        server.smallestPart = smallestPart
        let isPlain = generator.chance(0.5)
        if !isPlain {
            server.honoursPutConditions = generator.chance(0.7)
            server.honoursCompleteConditions =
                server.honoursPutConditions && generator.chance(0.7)
            server.honoursCopyConditions = server.honoursPutConditions && generator.chance(0.3)
            server.hasPartCopy = generator.chance(0.6)
            server.missingIsNotFound = generator.chance(0.5)
            server.datesUploadsAtCreation = generator.chance(0.5)
            server.isProbed = generator.chance(0.7)
        }
        return server
    }
}

/// Why the simulated server refuses a request.
struct Refusal: Error {
    var kind: StoreError.Kind
    var code: String?

    init(_ kind: StoreError.Kind, _ code: String? = nil) {
        self.kind = kind
        self.code = code
    }
}

extension SimulatedStore {
    /// What kind of server it is; may be changed at any time.
    public var server: ServerBehaviour {
        get { state.withLock { $0.server } }
        set { state.withLock { $0.server = newValue } }
    }

    public var capabilities: StoreCapabilities {
        state.withLock { state in
            guard state.server.isProbed else {
                return StoreCapabilities(partCopy: state.uploads.shownPartCopy)
            }
            return StoreCapabilities(
                conditionalPut: state.server.honoursPutConditions,
                conditionalComplete: state.server.honoursCompleteConditions,
                conditionalCopy: state.server.honoursCopyConditions,
                partCopy: state.server.hasPartCopy, checksums: true)
        }
    }

    /// Checks a condition on a key as the bucket is now.
    static func check(
        _ condition: WriteCondition, on key: ObjectKey, honoured: Bool, in state: State
    ) throws(Refusal) {
        guard honoured else { return }
        let object = state.bucket[key]
        switch condition {
        case .none: break
        case .absent: if object != nil { throw Refusal(.preconditionFailed) }
        case .matches(let etag):
            guard let object else {
                throw Refusal(
                    state.server.missingIsNotFound ? .notFound : .preconditionFailed)
            }
            if object.etag != etag { throw Refusal(.preconditionFailed) }
        }
    }

    /// Makes sure that so many bytes more still fit.
    static func checkQuota(adding bytes: Int64, in state: State) throws(Refusal) {
        guard let quota = state.server.quota else { return }
        let used = state.bucket.objects.values.reduce(Int64(0)) { $0 + $1.size }
        if used + state.uploads.bytes + bytes > quota { throw Refusal(.quotaExceeded) }
    }

    static func checkHeaders(_ headers: ObjectHeaders, _ key: ObjectKey) throws(Refusal) {
        if key.bytes.isEmpty || key.bytes.count > 1024 { throw Refusal(.other, "KeyTooLongError") }
        let size = headers.metadata.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count }
        if size > UploadLimits.metadata { throw Refusal(.other, "MetadataTooLarge") }
        let isClean = headers.metadata.allSatisfy { name, value in
            name == name.lowercased() && !(name + value).utf8.contains { $0 < 0x20 || $0 == 0x7F }
        }
        if !isClean { throw Refusal(.other, "InvalidArgument") }
    }
}
