// PutObject, CopyObject, DeleteObject and DeleteObjects of a simulated bucket.

public import S3

extension SimulatedStore: WritableObjectStore {
    @discardableResult
    public func put(
        _ request: PutRequest,
        completion: @escaping @Sendable (Result<WrittenObject, StoreError>) -> Void
    ) -> any Cancellable {
        change(.put, request.key, body: request.body, completion: completion) {
            state, moment throws(Refusal) in
            try Self.checkHeaders(request.headers, request.key)
            if Int64(moment.body.count) > state.server.largestPart { throw Refusal(.tooLarge) }
            try Self.check(
                request.condition, on: request.key, honoured: state.server.honoursPutConditions,
                in: state)
            let old = state.bucket[request.key]?.size ?? 0
            try Self.checkQuota(adding: Int64(moment.body.count) - old, in: state)
            return Self.write(
                request.key, moment.body, ContentDigest.etag(of: moment.body), request.headers,
                moment, in: &state)
        }
    }

    @discardableResult
    public func copy(
        _ request: CopyRequest,
        completion: @escaping @Sendable (Result<WrittenObject, StoreError>) -> Void
    ) -> any Cancellable {
        change(.copy, request.key, completion: completion) { state, moment throws(Refusal) in
            let source = try Self.source(request.source, in: state)
            if source.size > state.server.largestPart { throw Refusal(.tooLarge) }
            guard request.key != request.source.key || request.headers != nil else {
                // S3 refuses to copy an object onto itself without a change.
                throw Refusal(.other, "InvalidRequest")
            }
            var headers = request.headers ?? source.headers
            // The storage class is never copied.
            if request.headers == nil { headers.storageClass = nil }
            try Self.checkHeaders(headers, request.key)
            try Self.check(
                request.condition, on: request.key, honoured: state.server.honoursCopyConditions,
                in: state)
            let old = state.bucket[request.key]?.size ?? 0
            try Self.checkQuota(adding: source.size - old, in: state)
            // The copy is one object put at once, whatever its source was.
            return Self.write(
                request.key, source.bytes, ContentDigest.etag(of: source.bytes), headers, moment,
                in: &state)
        }
    }

    @discardableResult
    public func delete(
        _ key: ObjectKey, completion: @escaping @Sendable (Result<Void, StoreError>) -> Void
    ) -> any Cancellable {
        change(.delete, key, completion: completion) { state, moment throws(Refusal) in
            Self.delete(key, at: moment.now, by: .delete, in: &state)
        }
    }

    /// DeleteObjects is logged under its first key.
    @discardableResult
    public func delete(
        _ keys: [ObjectKey],
        completion: @escaping @Sendable (Result<[ObjectKey: StoreError], StoreError>) -> Void
    ) -> any Cancellable {
        change(.deleteMany, keys.first ?? ObjectKey(""), completion: completion) {
            state, moment throws(Refusal) in
            guard 1...1000 ~= keys.count else { throw Refusal(.other, "MalformedXML") }
            var failures: [ObjectKey: StoreError] = [:]
            for key in keys {
                if state.generator.chance(state.faults.refuseKey) {
                    failures[key] = .simulated(.unavailable, .deleteMany)
                } else {
                    Self.delete(key, at: moment.now, by: .deleteMany, in: &state)
                }
            }
            return failures
        }
    }

    // MARK: Common steps

    /// The object of a copy source, if it is still the version asked for.
    static func source(_ source: CopySource, in state: State) throws(Refusal) -> StoredObject {
        guard let object = state.bucket[source.key] else { throw Refusal(.notFound) }
        if let etag = source.etag, etag != object.etag { throw Refusal(.preconditionFailed) }
        if object.storageClass.isArchived, !object.isRestored { throw Refusal(.archived) }
        return object
    }

    /// Makes the bytes what the key holds.
    ///
    /// - Parameter modified: nil for the moment's.
    static func write(
        _ key: ObjectKey, _ bytes: [UInt8], _ etag: ETag, _ headers: ObjectHeaders,
        _ moment: ChangeMoment, modified: Int64? = nil, in state: inout State
    ) -> WrittenObject {
        state.versions += 1
        var object = StoredObject(
            key: key, bytes: bytes, etag: etag, modified: modified ?? moment.modified,
            storageClass: .standard, contentType: nil, metadata: [:],
            versionID: "v\(state.versions)")
        object.headers = headers
        put(object, at: moment.now, by: moment.operation, in: &state)
        // What the answer's Date says, which is not the LastModified of a slow upload.
        return WrittenObject(
            etag: etag, versionID: object.versionID, modified: moment.modified)
    }
}
