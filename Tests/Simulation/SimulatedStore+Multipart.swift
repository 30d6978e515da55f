// Multipart uploads of a simulated bucket.

public import S3

extension SimulatedStore {
    @discardableResult
    public func createUpload(
        _ key: ObjectKey, headers: ObjectHeaders,
        completion: @escaping @Sendable (Result<MultipartUpload, StoreError>) -> Void
    ) -> any Cancellable {
        change(.createUpload, key, completion: completion) { state, moment throws(Refusal) in
            try Self.checkHeaders(headers, key)
            return state.uploads.create(
                key, headers, time: moment.now, modified: moment.modified)
        }
    }

    @discardableResult
    public func uploadPart(
        _ upload: MultipartUpload, number: Int, body: any UploadBody,
        completion: @escaping @Sendable (Result<UploadedPart, StoreError>) -> Void
    ) -> any Cancellable {
        change(.uploadPart, upload.key, body: body, completion: completion) {
            state, moment throws(Refusal) in
            let size = Int64(moment.body.count)
            if size > state.server.largestPart { throw Refusal(.tooLarge) }
            try Self.checkQuota(adding: size, in: state)
            let etag = try state.uploads.take(moment.body, as: number, of: upload)
            return UploadedPart(number: number, etag: etag, size: size)
        }
    }

    @discardableResult
    public func copyPart(
        _ upload: MultipartUpload, number: Int, source: CopySource, range: Range<Int64>,
        completion: @escaping @Sendable (Result<UploadedPart, StoreError>) -> Void
    ) -> any Cancellable {
        change(.copyPart, upload.key, completion: completion) { state, moment throws(Refusal) in
            state.uploads.shownPartCopy = state.server.hasPartCopy
            guard state.server.hasPartCopy else { throw Refusal(.notImplemented) }
            let object = try Self.source(source, in: state)
            guard !range.isEmpty, range.lowerBound >= 0, range.upperBound <= object.size else {
                throw Refusal(.invalidRange, "InvalidArgument")
            }
            // A range of a small object cannot be copied.
            let isWhole = range == 0..<object.size
            guard isWhole || object.size > state.server.smallestPart else {
                throw Refusal(.other, "InvalidRequest")
            }
            if Int64(range.count) > state.server.largestPart { throw Refusal(.tooLarge) }
            try Self.checkQuota(adding: Int64(range.count), in: state)
            let bytes = Array(object.bytes[Int(range.lowerBound)..<Int(range.upperBound)])
            let etag = try state.uploads.take(bytes, as: number, of: upload)
            return UploadedPart(number: number, etag: etag, size: 0)
        }
    }

    @discardableResult
    public func completeUpload(
        _ upload: MultipartUpload, parts: [UploadedPart], condition: WriteCondition,
        completion: @escaping @Sendable (Result<WrittenObject, StoreError>) -> Void
    ) -> any Cancellable {
        change(.completeUpload, upload.key, completion: completion) {
            state, moment throws(Refusal) in
            let (bytes, etag) = try state.uploads.assembled(upload, parts, server: state.server)
            try Self.check(
                condition, on: upload.key, honoured: state.server.honoursCompleteConditions,
                in: state)
            let known = state.uploads[upload]!
            state.uploads.remove(upload)
            return Self.write(
                upload.key, bytes, etag, known.headers, moment,
                modified: state.server.datesUploadsAtCreation ? known.modified : nil, in: &state)
        }
    }

    @discardableResult
    public func abortUpload(
        _ upload: MultipartUpload,
        completion: @escaping @Sendable (Result<Void, StoreError>) -> Void
    ) -> any Cancellable {
        change(.abortUpload, upload.key, completion: completion) {
            state, moment throws(Refusal) in
            state.uploads.remove(upload)
        }
    }

    @discardableResult
    public func listParts(
        _ upload: MultipartUpload,
        completion: @escaping @Sendable (Result<[UploadedPart], StoreError>) -> Void
    ) -> any Cancellable {
        change(.listParts, upload.key, completion: completion) {
            state, moment throws(Refusal) in
            guard let known = state.uploads[upload] else { throw Refusal(.noSuchUpload) }
            return known.parts.sorted { $0.key < $1.key }.map { number, part in
                UploadedPart(
                    number: number, etag: part.etag, size: Int64(part.bytes.count))
            }
        }
    }
}
