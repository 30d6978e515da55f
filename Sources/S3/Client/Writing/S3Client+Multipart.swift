// Multipart uploads.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html

internal import Transport

extension S3Client {
    @discardableResult
    public func createUpload(
        _ key: ObjectKey, headers: ObjectHeaders,
        completion: @escaping @Sendable (Result<MultipartUpload, StoreError>) -> Void
    ) -> any Cancellable {
        let options = configuration.writing
        let sendsCRC = capabilities.checksums != false
        return perform(
            AnswerExchange<FieldsDocument, MultipartUpload>(
                "CreateMultipartUpload", sizeLimit: 64 << 10,
                request: {
                    var query = QueryWriter()
                    query.add("uploads", "")
                    var spec = RequestSpec(
                        operation: "CreateMultipartUpload", method: "POST", key: key.bytes,
                        query: query.bytes)
                    spec.hasCustomerKey = true
                    spec.signedHeaders =
                        headers.fields + options.headers(storageClass: headers.storageClass)
                    // AWS takes a part's checksum only of an upload that announced it.
                    if sendsCRC {
                        spec.signedHeaders.append(("x-amz-checksum-algorithm", "CRC32C"))
                    }
                    return spec
                },
                reading: { answer in
                    guard let id = answer.document["UploadId"] else {
                        return .failure(answer.context.malformed("the answer lacks an UploadId"))
                    }
                    if sendsCRC, answer.head.first("x-amz-checksum-algorithm") == nil {
                        self.learn { if $0.checksums == nil { $0.checksums = false } }
                    }
                    return .success(MultipartUpload(key: key, id: id))
                }, completion: completion))
    }

    @discardableResult
    public func uploadPart(
        _ upload: MultipartUpload, number: Int, body: any UploadBody,
        completion: @escaping @Sendable (Result<UploadedPart, StoreError>) -> Void
    ) -> any Cancellable {
        let plan = ProofPlan(checksums: capabilities.checksums, hidesETags: hidesETags)
        let steps = Steps()
        prepare(body, plan.digests, operation: "UploadPart", steps: steps) { result in
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(let prepared):
                let transfer = BodyTransfer(prepared, plan, self)
                steps.next {
                    self.send(upload, number, transfer, size: prepared.size, completion)
                }
            }
        }
        return steps
    }

    private func send(
        _ upload: MultipartUpload, _ number: Int, _ transfer: BodyTransfer, size: Int64,
        _ completion: @escaping @Sendable (Result<UploadedPart, StoreError>) -> Void
    ) -> any Cancellable {
        let exchange = AnswerExchange<NoDocument, UploadedPart>(
            "UploadPart", sizeLimit: nil,
            request: {
                var spec = upload.spec("UploadPart", "PUT", part: number)
                spec.hasCustomerKey = true
                transfer.fill(&spec)
                return spec
            },
            reading: { answer in
                guard let etag = answer.etag else {
                    return .failure(answer.context.malformed("the answer lacks an ETag"))
                }
                return transfer.check(answer.head, etag: etag, answer.context).map { checksum in
                    UploadedPart(number: number, etag: etag, size: size, checksum: checksum)
                }
            }, completion: completion)
        return transfer.isStream
            ? self.upload(exchange) : perform(exchange, configuration.operationDeadline)
    }

    @discardableResult
    public func copyPart(
        _ upload: MultipartUpload, number: Int, source: CopySource, range: Range<Int64>,
        completion: @escaping @Sendable (Result<UploadedPart, StoreError>) -> Void
    ) -> any Cancellable {
        precondition(!range.isEmpty, "an empty range")
        let steps = Steps()
        let exchange = AnswerExchange<FieldsDocument, UploadedPart>(
            "UploadPartCopy", sizeLimit: 64 << 10,
            request: {
                var spec = upload.spec("UploadPartCopy", "PUT", part: number)
                spec.hasCustomerKey = true
                spec.copiesCustomerKey = true
                spec.answerTime = self.configuration.workDeadline
                spec.signedHeaders = self.copySource(source)
                spec.signedHeaders.append(
                    (
                        "x-amz-copy-source-range",
                        "bytes=\(range.lowerBound)-\(range.upperBound - 1)"
                    ))
                return spec
            },
            reading: { answer in
                // A server that does not know the operation takes it for a part without bytes.
                guard let etag = answer.document.etag else {
                    return .failure(answer.context.malformed("the answer lacks an ETag"))
                }
                return .success(
                    UploadedPart(
                        number: number, etag: etag, size: Int64(range.count),
                        checksum: answer.document.checksum))
            },
            completion: { result in
                switch result {
                case .failure(let error):
                    if error.kind == .notImplemented { self.learn { $0.partCopy = false } }
                    completion(result)
                case .success:
                    self.learn { $0.partCopy = true }
                    self.confirm(source, result, steps, completion)
                }
            })
        steps.next { perform(exchange, configuration.workDeadline) }
        return steps
    }

    /// RGW and moto copy parts whatever the condition on the source says: the source must still be
    /// what was meant.
    private func confirm(
        _ source: CopySource, _ result: Result<UploadedPart, StoreError>, _ steps: Steps,
        _ completion: @escaping @Sendable (Result<UploadedPart, StoreError>) -> Void
    ) {
        guard isCustom, let etag = source.etag else { return completion(result) }
        steps.next {
            head(source.key) { found in
                switch found {
                case .failure(let error): completion(.failure(error))
                case .success(let head) where head.etag == etag: completion(result)
                case .success(let head):
                    completion(
                        .failure(
                            StoreError(
                                kind: .preconditionFailed, operation: "UploadPartCopy",
                                message: "the source changed: its ETag is \(head.etag.text) now")))
                }
            }
        }
    }

    @discardableResult
    public func abortUpload(
        _ upload: MultipartUpload,
        completion: @escaping @Sendable (Result<Void, StoreError>) -> Void
    ) -> any Cancellable {
        perform(
            AnswerExchange<NoDocument, Void>(
                "AbortMultipartUpload", sizeLimit: nil,
                request: { upload.spec("AbortMultipartUpload", "DELETE") },
                reading: { _ in .success(()) },
                completion: { result in
                    if case .failure(let error) = result,
                        error.kind == .noSuchUpload || error.kind == .notFound
                    {
                        return completion(.success(()))
                    }
                    completion(result)
                }))
    }

    @discardableResult
    public func listParts(
        _ upload: MultipartUpload,
        completion: @escaping @Sendable (Result<[UploadedPart], StoreError>) -> Void
    ) -> any Cancellable {
        let steps = Steps()
        listParts(upload, after: nil, [], steps, completion)
        return steps
    }

    private func listParts(
        _ upload: MultipartUpload, after marker: String?, _ before: [UploadedPart],
        _ steps: Steps,
        _ completion: @escaping @Sendable (Result<[UploadedPart], StoreError>) -> Void
    ) {
        let exchange = AnswerExchange<PartsDocument, (parts: [UploadedPart], next: String?)>(
            "ListParts", sizeLimit: 4 << 20,
            request: {
                var spec = upload.spec("ListParts", "GET", after: marker)
                spec.hasCustomerKey = true
                return spec
            },
            reading: { answer in
                let document = answer.document
                guard document.isTruncated else { return .success((document.parts, nil)) }
                guard let next = document.nextMarker, next != marker, !document.parts.isEmpty else {
                    return .failure(answer.context.malformed("a page without its next"))
                }
                return .success((document.parts, next))
            },
            completion: { result in
                switch result {
                case .failure(let error): completion(.failure(error))
                case .success(let page):
                    let parts = before + page.parts
                    guard let next = page.next else { return completion(.success(parts)) }
                    self.listParts(upload, after: next, parts, steps, completion)
                }
            })
        steps.next { perform(exchange) }
    }
}

extension MultipartUpload {
    /// A request about this upload.
    func spec(_ operation: String, _ method: String, part: Int? = nil, after: String? = nil)
        -> RequestSpec
    {
        var query = QueryWriter()
        if let after { query.add("part-number-marker", after) }
        if let part { query.add("partNumber", String(part)) }
        query.add("uploadId", id)
        return RequestSpec(
            operation: operation, method: method, key: key.bytes, query: query.bytes)
    }
}
