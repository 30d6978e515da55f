// How the body of one PutObject or UploadPart is sent, and whether it arrived: by the server's own
// checksum where it has one, else by the ETag, which is the MD5, else by Content-MD5.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html

internal import Transport

/// What proves the arrival of a body, decided by what is known of the server.
struct ProofPlan: Equatable {
    /// `x-amz-checksum-crc32c` goes along.
    var sendsCRC: Bool
    /// The ETag is held against the MD5 of what was sent.
    var comparesMD5: Bool
    /// `Content-MD5` goes along.
    var sendsMD5: Bool

    init(checksums: Bool?, hidesETags: Bool) {
        sendsCRC = checksums != false
        comparesMD5 = checksums != true && !hidesETags
        sendsMD5 = checksums != true && hidesETags
    }

    /// What to compute before the body is sent.
    var digests: WantedDigests { WantedDigests(crc32c: sendsCRC, md5: sendsMD5) }
}

/// The body of one call. Used from one thread at a time (see Exchange), hence @unchecked.
final class BodyTransfer: @unchecked Sendable {
    private let prepared: PreparedBody
    private let plan: ProofPlan
    private let client: S3Client
    private var source: HashedBody?

    init(_ prepared: PreparedBody, _ plan: ProofPlan, _ client: S3Client) {
        self.prepared = prepared
        self.plan = plan
        self.client = client
    }

    /// True when the body is read while it is sent.
    var isStream: Bool {
        if case .stream = prepared.content { return true }
        return false
    }

    /// Puts the body into the request of an attempt.
    func fill(_ spec: inout RequestSpec) {
        switch prepared.content {
        case .bytes(let bytes): spec.body = .bytes(bytes)
        case .stream(let body):
            let source = HashedBody(body, hashes: plan.comparesMD5)
            self.source = source
            spec.body = .stream(source)
            // The server may have to bring the whole of it to its disks.
            spec.answerTime = client.configuration.progressDeadline * 3 / 4
        }
        if plan.sendsCRC, let crc = prepared.crc32c {
            spec.signedHeaders.append(("x-amz-checksum-crc32c", CRC32C.text(crc)))
        }
        if plan.sendsMD5, let md5 = prepared.md5 {
            spec.signedHeaders.append(("content-md5", Base64.encode(md5)))
        }
    }

    /// Holds the answer against what was sent; the checksum that the server confirmed, if any.
    func check(_ head: HTTPResponseHead, etag: ETag, _ context: ResponseContext)
        -> Result<String?, AttemptFailure>
    {
        if plan.sendsCRC, let crc = prepared.crc32c {
            let own = CRC32C.text(crc)
            if let echo = head.first("x-amz-checksum-crc32c") {
                guard echo == own else {
                    return .failure(damaged("CRC32C \(echo), sent was \(own)", context))
                }
                client.learn { $0.checksums = true }
                return .success("crc32c:" + own)
            }
            client.learn { if $0.checksums == nil { $0.checksums = false } }
        }
        guard plan.comparesMD5, !Self.isEncrypted(head) else { return .success(nil) }
        guard etag.isPlain else {
            client.learnThatETagsAreHidden()
            return .success(nil)
        }
        guard let md5 = digest() else { return .success(nil) }
        guard md5.hex == etag.text.lowercased() else {
            return .failure(damaged("MD5 \(etag.text), sent was \(md5.hex)", context))
        }
        return .success(nil)
    }

    private func digest() -> DigestBytes? {
        switch prepared.content {
        case .bytes(let bytes): MD5.hash(bytes)
        case .stream: source?.digest()
        }
    }

    private static func isEncrypted(_ head: HTTPResponseHead) -> Bool {
        head.first("x-amz-server-side-encryption-customer-algorithm") != nil
            || head.first("x-amz-server-side-encryption")?.hasPrefix("aws:kms") == true
    }

    private func damaged(_ what: String, _ context: ResponseContext) -> AttemptFailure {
        AttemptFailure(
            StoreError(
                kind: .corrupted, operation: context.operation, status: context.status,
                requestID: context.requestID, message: "what the server has is of " + what), .few)
    }
}

extension ETag {
    /// True for 32 hexadecimal digits: the MD5 of a simple object, unless it is encrypted.
    var isPlain: Bool { text.utf8.count == 32 && text.utf8.allSatisfy { hexValue($0) != nil } }

    /// The bytes that the digits of a plain one stand for.
    var digest: DigestBytes? {
        guard isPlain else { return nil }
        let digits = Array(text.utf8)
        return stride(from: 0, to: 32, by: 2).map {
            hexValue(digits[$0])! << 4 | hexValue(digits[$0 + 1])!
        }
    }
}
