// PutObject, CopyObject and DeleteObject. A condition that fails after an answer was lost is looked
// into: it may be our own write that stands in its way.

internal import Transport

extension S3Client: WritableObjectStore {
    @discardableResult
    public func put(
        _ request: PutRequest,
        completion: @escaping @Sendable (Result<WrittenObject, StoreError>) -> Void
    ) -> any Cancellable {
        let plan = ProofPlan(checksums: capabilities.checksums, hidesETags: hidesETags)
        let steps = Steps()
        prepare(request.body, plan.digests, operation: "PutObject", steps: steps) { result in
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(let prepared):
                let transfer = BodyTransfer(prepared, plan, self)
                steps.next { self.send(request, transfer, steps, completion) }
            }
        }
        return steps
    }

    private func send(
        _ request: PutRequest, _ transfer: BodyTransfer, _ steps: Steps,
        _ completion: @escaping @Sendable (Result<WrittenObject, StoreError>) -> Void
    ) -> any Cancellable {
        let options = configuration.writing
        let isLost = Flag()
        let exchange = AnswerExchange<NoDocument, WrittenObject>(
            "PutObject", sizeLimit: nil,
            request: {
                var spec = RequestSpec(
                    operation: "PutObject", method: "PUT", key: request.key.bytes)
                spec.hasCustomerKey = true
                spec.signedHeaders =
                    request.headers.fields + request.condition.fields
                    + options.headers(storageClass: request.headers.storageClass)
                transfer.fill(&spec)
                return spec
            },
            reading: { answer in
                guard let etag = answer.etag else {
                    return .failure(answer.context.malformed("the answer lacks an ETag"))
                }
                return transfer.check(answer.head, etag: etag, answer.context)
                    .map { _ in answer.written(etag) }
            }, onLoss: { isLost.set() },
            completion: { result in
                guard request.condition != .none, case .failure(let error) = result else {
                    return completion(result)
                }
                let failed = request.condition.judged(error)
                guard failed.kind == .preconditionFailed, isLost.isSet else {
                    return completion(.failure(failed))
                }
                self.lookForOwn(request, failed, steps, completion)
            })
        return transfer.isStream
            ? upload(exchange) : perform(exchange, configuration.operationDeadline)
    }

    // MARK: Copy

    @discardableResult
    public func copy(
        _ request: CopyRequest,
        completion: @escaping @Sendable (Result<WrittenObject, StoreError>) -> Void
    ) -> any Cancellable {
        let steps = Steps()
        let isLost = Flag()
        let hides = hidesETags
        let exchange = AnswerExchange<FieldsDocument, WrittenObject>(
            "CopyObject", sizeLimit: 64 << 10, request: { self.copySpec(request) },
            reading: { answer in
                guard let etag = answer.document.etag ?? answer.etag else {
                    return .failure(answer.context.malformed("the answer lacks an ETag"))
                }
                var written = answer.written(etag)
                written.modified = answer.document.modified ?? written.modified
                // Servers that ignore the condition on the source have copied something else then.
                if let source = request.source.etag, source.isPlain, etag.isPlain, !hides,
                    source != etag, self.isCustom
                {
                    return .failure(
                        AttemptFailure(
                            StoreError(
                                kind: .preconditionFailed, operation: "CopyObject",
                                requestID: answer.context.requestID,
                                message: "the source changed: its ETag is \(etag.text) now"),
                            .none))
                }
                return .success(written)
            }, onLoss: { isLost.set() },
            completion: { result in
                guard case .failure(let error) = result, error.kind == .preconditionFailed,
                    request.condition != .none, isLost.isSet, let source = request.source.etag
                else { return completion(result) }
                steps.next {
                    self.head(request.key) { found in
                        guard case .success(let head) = found, head.etag == source else {
                            return completion(.failure(error))
                        }
                        completion(.success(head.written))
                    }
                }
            })
        steps.next { perform(exchange, configuration.workDeadline) }
        return steps
    }

    private func copySpec(_ request: CopyRequest) -> RequestSpec {
        var spec = RequestSpec(operation: "CopyObject", method: "PUT", key: request.key.bytes)
        spec.hasCustomerKey = true
        spec.copiesCustomerKey = true
        spec.answerTime = configuration.workDeadline
        spec.signedHeaders =
            copySource(request.source) + request.condition.fields
            + configuration.writing.headers(
                storageClass: request.headers?.storageClass, replacesTags: true)
        spec.signedHeaders.append(
            ("x-amz-metadata-directive", request.headers == nil ? "COPY" : "REPLACE"))
        if let headers = request.headers { spec.signedHeaders += headers.fields }
        return spec
    }

    /// The headers that name a source.
    func copySource(_ source: CopySource) -> [(name: String, value: String)] {
        var path: [UInt8] = []
        PercentEncoding.append(
            Array(configuration.source.bucket.utf8), keepsSlash: false, to: &path)
        path.append(0x2F)
        PercentEncoding.append(source.key.bytes, keepsSlash: true, to: &path)
        var headers = [(name: "x-amz-copy-source", value: String(decoding: path, as: UTF8.self))]
        guard let etag = source.etag else { return headers }
        let value = "\"" + etag.text + "\""
        headers.append(("x-amz-copy-source-if-match", value))
        // RGW knows the condition by this name only.
        if isCustom { headers.append(("x-amz-copy-if-match", value)) }
        return headers
    }

    // MARK: Delete

    @discardableResult
    public func delete(
        _ key: ObjectKey, completion: @escaping @Sendable (Result<Void, StoreError>) -> Void
    ) -> any Cancellable {
        perform(
            AnswerExchange<NoDocument, Void>(
                "DeleteObject", sizeLimit: nil,
                request: {
                    RequestSpec(operation: "DeleteObject", method: "DELETE", key: key.bytes)
                }, reading: { _ in .success(()) },
                completion: { result in
                    if case .failure(let error) = result, error.kind == .notFound {
                        return completion(.success(()))
                    }
                    completion(result)
                }))
    }
}

extension WriteCondition {
    /// What an error means under this condition: AWS says "no such key" of a key that should be of
    /// some version.
    func judged(_ error: StoreError) -> StoreError {
        guard case .matches = self, error.kind == .notFound else { return error }
        var error = error
        error.kind = .preconditionFailed
        return error
    }
}

extension Answer {
    /// The header's; nil when there is none.
    var etag: ETag? {
        guard let text = head.first("etag").map(Headers.unquoted), !text.isEmpty else { return nil }
        return ETag(text)
    }

    /// What the headers tell of the version that was written.
    func written(_ etag: ETag) -> WrittenObject {
        let version = head.first("x-amz-version-id")
        return WrittenObject(
            etag: etag, versionID: version == "null" ? nil : version,
            modified: head.first("date").flatMap(Dates.http).map { $0 * 1_000_000_000 })
    }
}

extension ObjectHead {
    var written: WrittenObject {
        WrittenObject(etag: etag, versionID: versionID, modified: modified)
    }
}
