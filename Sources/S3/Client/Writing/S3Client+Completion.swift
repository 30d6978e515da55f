// CompleteMultipartUpload: the one request that must not be guessed about. It may work for minutes,
// answer 200 and fail all the same, and an answer that is lost makes the next attempt say that there
// is no such upload. Then the object itself tells.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html

internal import Logging
internal import Transport

extension S3Client {
    @discardableResult
    public func completeUpload(
        _ upload: MultipartUpload, parts: [UploadedPart], condition: WriteCondition,
        completion: @escaping @Sendable (Result<WrittenObject, StoreError>) -> Void
    ) -> any Cancellable {
        let steps = Steps()
        let isLost = Flag()
        let expected = Self.etag(of: parts)
        let body = XMLWriter.completion(parts)
        let digest = Base64.encode(MD5.hash(body))
        let exchange = AnswerExchange<FieldsDocument, (ETag?, WrittenObject)>(
            "CompleteMultipartUpload", sizeLimit: 256 << 10,
            request: {
                var spec = upload.spec("CompleteMultipartUpload", "POST")
                spec.hasCustomerKey = true
                spec.answerTime = self.configuration.workDeadline
                spec.signedHeaders =
                    [("content-type", "application/xml"), ("content-md5", digest)]
                    + condition.fields
                spec.body = .bytes(body)
                return spec
            },
            reading: { answer in
                // RGW leaves the ETag of its first answer empty.
                let etag = answer.document.etag ?? expected
                return .success((etag, answer.written(etag ?? ETag(""))))
            }, onLoss: { isLost.set() },
            completion: { result in
                switch result {
                case .success(let (etag, written)):
                    if etag != nil { return completion(.success(written)) }
                    steps.next { self.head(upload.key) { completion($0.map(\.written)) } }
                case .failure(let error):
                    let failed = condition.judged(error)
                    guard Self.mayBeDone(failed, isLost.isSet), let expected else {
                        return completion(.failure(failed))
                    }
                    steps.next { self.look(upload.key, expected, failed, completion) }
                }
            })
        steps.next { perform(exchange, configuration.workDeadline) }
        return steps
    }

    /// True when the upload may have been completed before: by an attempt whose answer was lost, or by
    /// a process that ended before it could take note.
    private static func mayBeDone(_ error: StoreError, _ isLost: Bool) -> Bool {
        switch error.kind {
        case .noSuchUpload: true
        case .preconditionFailed: isLost
        default: false
        }
    }

    private func look(
        _ key: ObjectKey, _ expected: ETag, _ failure: StoreError,
        _ completion: @escaping @Sendable (Result<WrittenObject, StoreError>) -> Void
    ) -> any Cancellable {
        head(key) { found in
            guard case .success(let head) = found, head.etag == expected else {
                return completion(.failure(failure))
            }
            self.log.debug("CompleteMultipartUpload: the object is there, its answer was lost")
            completion(.success(head.written))
        }
    }
}
