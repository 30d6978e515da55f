// Multipart uploads under way in a simulated bucket, and the rules of their parts. Pure data: no
// clock, no faults.

public import S3

/// A multipart upload that was neither completed nor aborted.
public struct OngoingUpload: Sendable {
    public var upload: MultipartUpload
    /// Fixed when it was created.
    public var headers: ObjectHeaders
    /// When it was created, by the scheduler's clock.
    public var time: Duration
    /// Sizes of the parts that arrived.
    public var parts: [Int: Int64]
}

struct UploadTable: Sendable {
    struct Part: Sendable {
        var bytes: [UInt8]
        var etag: ETag
    }

    struct Upload: Sendable {
        var key: ObjectKey
        var headers: ObjectHeaders
        var time: Duration
        /// Nanoseconds since 1970, whole seconds.
        var modified: Int64
        var parts: [Int: Part] = [:]
    }

    private(set) var uploads: [String: Upload] = [:]
    private var created = 0
    /// Whether UploadPartCopy works, once an answer has shown it.
    var shownPartCopy: Bool?

    /// Bytes of all parts.
    var bytes: Int64 {
        uploads.values.reduce(0) { sum, upload in
            upload.parts.values.reduce(sum) { $0 + Int64($1.bytes.count) }
        }
    }

    /// All uploads, the oldest first.
    var ongoing: [OngoingUpload] {
        uploads.map { id, upload in
            OngoingUpload(
                upload: MultipartUpload(key: upload.key, id: id), headers: upload.headers,
                time: upload.time, parts: upload.parts.mapValues { Int64($0.bytes.count) })
        }.sorted { ($0.time, $0.upload.id) < ($1.time, $1.upload.id) }
    }

    mutating func create(
        _ key: ObjectKey, _ headers: ObjectHeaders, time: Duration, modified: Int64
    ) -> MultipartUpload {
        created += 1
        let id = "upload-\(created)"
        uploads[id] = Upload(key: key, headers: headers, time: time, modified: modified)
        return MultipartUpload(key: key, id: id)
    }

    subscript(upload: MultipartUpload) -> Upload? {
        uploads[upload.id].flatMap { $0.key == upload.key ? $0 : nil }
    }

    /// Takes a part; one of the same number is replaced.
    mutating func take(
        _ bytes: [UInt8], as number: Int, of upload: MultipartUpload
    ) throws(Refusal) -> ETag {
        guard 1...UploadLimits.parts ~= number else { throw Refusal(.other, "InvalidArgument") }
        guard self[upload] != nil else { throw Refusal(.noSuchUpload) }
        let etag = ContentDigest.etag(of: bytes)
        uploads[upload.id]!.parts[number] = Part(bytes: bytes, etag: etag)
        return etag
    }

    /// The bytes and the ETag that completing with these parts gives.
    func assembled(
        _ upload: MultipartUpload, _ parts: [UploadedPart], server: ServerBehaviour
    ) throws(Refusal) -> (bytes: [UInt8], etag: ETag) {
        guard let known = self[upload] else { throw Refusal(.noSuchUpload) }
        guard !parts.isEmpty, parts.count <= UploadLimits.parts else {
            throw Refusal(.other, "MalformedXML")
        }
        for (one, next) in zip(parts, parts.dropFirst()) where one.number >= next.number {
            throw Refusal(.other, "InvalidPartOrder")
        }
        var bytes: [UInt8] = []
        for (index, part) in parts.enumerated() {
            guard let mine = known.parts[part.number], mine.etag == part.etag else {
                throw Refusal(.other, "InvalidPart")
            }
            if index < parts.count - 1, mine.bytes.count < server.smallestPart {
                throw Refusal(.other, "EntityTooSmall")
            }
            bytes += mine.bytes
        }
        if Int64(bytes.count) > server.largestObject { throw Refusal(.tooLarge) }
        return (bytes, ContentDigest.etag(ofParts: parts.map(\.etag)))
    }

    /// Forgets an upload and its parts; false when there was none.
    @discardableResult
    mutating func remove(_ upload: MultipartUpload) -> Bool {
        self[upload] != nil && uploads.removeValue(forKey: upload.id) != nil
    }
}

extension SimulatedStore {
    /// Multipart uploads that were neither completed nor aborted, the oldest first.
    public var uploads: [OngoingUpload] { state.withLock { $0.uploads.ongoing } }

    /// Aborts an upload, as a lifecycle rule or another client may at any time.
    @discardableResult
    public func expire(_ upload: MultipartUpload) -> Bool {
        state.withLock { $0.uploads.remove(upload) }
    }
}
