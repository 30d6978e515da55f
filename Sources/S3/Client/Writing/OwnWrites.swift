// Was it our own write? Asked when an answer was lost and the next attempt is refused.

internal import Logging
internal import Transport

extension S3Client {
    /// A conditional PutObject was refused after an attempt whose answer nobody saw: success when the
    /// object is exactly what was put, else `failure`.
    func lookForOwn(
        _ request: PutRequest, _ failure: StoreError, _ steps: Steps,
        _ completion: @escaping @Sendable (Result<WrittenObject, StoreError>) -> Void
    ) {
        let wanted = WantedDigests(crc32c: true, md5: true)
        prepare(request.body, wanted, operation: "PutObject", steps: steps) { result in
            guard case .success(let own) = result else { return completion(.failure(failure)) }
            steps.next {
                self.headWithChecksum(request.key) { found in
                    guard case .success(let (head, crc)) = found, head.size == own.size,
                        head.metadata == request.headers.metadata,
                        Self.isSame(head, crc, own)
                    else { return completion(.failure(failure)) }
                    self.log.debug("PutObject: the object is there, its answer was lost")
                    completion(.success(head.written))
                }
            }
        }
    }

    private static func isSame(_ head: ObjectHead, _ crc: String?, _ own: PreparedBody) -> Bool {
        if let crc, let ownCRC = own.crc32c { return crc == CRC32C.text(ownCRC) }
        return head.etag.text.lowercased() == own.md5?.hex
    }

    /// HeadObject with the checksum that the server keeps, if any.
    private func headWithChecksum(
        _ key: ObjectKey,
        completion: @escaping @Sendable (Result<(ObjectHead, String?), StoreError>) -> Void
    ) -> any Cancellable {
        perform(
            AnswerExchange<NoDocument, (ObjectHead, String?)>(
                "HeadObject", sizeLimit: nil,
                request: {
                    var spec = RequestSpec(
                        operation: "HeadObject", method: "HEAD", key: key.bytes)
                    spec.hasCustomerKey = true
                    spec.signedHeaders = [("x-amz-checksum-mode", "ENABLED")]
                    return spec
                },
                reading: { answer in
                    let headers = AnswerHeaders(answer.head)
                    guard let size = headers.contentLength,
                        let head = headers.object(key, size: size)
                    else { return .failure(answer.context.malformed("a head without attributes")) }
                    return .success((head, answer.head.first("x-amz-checksum-crc32c")))
                }, completion: completion))
    }

    /// The ETag that a completed upload of these parts has: the MD5 of the parts' MD5s, and their
    /// number. Nil when the parts' ETags are no MD5s.
    static func etag(of parts: [UploadedPart]) -> ETag? {
        var digests: [UInt8] = []
        digests.reserveCapacity(parts.count * 16)
        for part in parts {
            guard let digest = part.etag.digest else { return nil }
            digests += digest
        }
        return ETag(MD5.hash(digests).hex + "-\(parts.count)")
    }
}
