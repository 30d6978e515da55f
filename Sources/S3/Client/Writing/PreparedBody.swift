// A body made ready to be sent: small ones are taken into memory (and signed), of large ones the
// checksums that have to go ahead of them are computed in a pass over them, on the scheduler.

internal import Scheduling

/// What is sent, and what is known of it beforehand.
struct PreparedBody: Sendable {
    enum Content: Sendable {
        case bytes([UInt8])
        case stream(any UploadBody)
    }

    var content: Content
    /// What goes along; nil when it does not.
    var crc32c: UInt32?
    var md5: DigestBytes?

    /// Bodies up to this size are read at once.
    static let smallBody: Int64 = 64 << 10

    var size: Int64 {
        switch content {
        case .bytes(let bytes): Int64(bytes.count)
        case .stream(let body): body.size
        }
    }
}

/// What has to be known of a body before it is sent.
struct WantedDigests: Equatable {
    var crc32c: Bool
    var md5: Bool
}

extension S3Client {
    /// Makes a body ready, in slices, so that no large one holds up a thread of the scheduler.
    func prepare(
        _ body: (any UploadBody)?, _ wanted: WantedDigests, operation: String, steps: Steps,
        then: @escaping @Sendable (Result<PreparedBody, StoreError>) -> Void
    ) {
        guard let body, body.size > 0 else {
            let empty = PreparedBody(
                content: .bytes([]), crc32c: wanted.crc32c ? 0 : nil,
                md5: wanted.md5 ? MD5.hash([]) : nil)
            return scheduler.run { then(.success(empty)) }
        }
        let pass = BodyPass(body, wanted, operation: operation)
        scheduler.run { self.go(pass, steps, then) }
    }

    private func go(
        _ pass: BodyPass, _ steps: Steps,
        _ then: @escaping @Sendable (Result<PreparedBody, StoreError>) -> Void
    ) {
        if steps.isCancelled {
            return then(
                .failure(
                    StoreError(kind: .cancelled, operation: pass.operation, message: "cancelled")))
        }
        if let result = pass.advance() { return then(result) }
        scheduler.run { self.go(pass, steps, then) }
    }
}

/// The pass over one body. Used from one thread at a time, hence @unchecked.
private final class BodyPass: @unchecked Sendable {
    let operation: String
    private let body: any UploadBody
    private let wanted: WantedDigests
    private var done: Int64 = 0
    private var crc: UInt32 = 0
    private let md5 = MD5()

    /// Bytes read at once, and in one go.
    private static let piece = 256 << 10
    private static let slice: Int64 = 64 << 20

    init(_ body: any UploadBody, _ wanted: WantedDigests, operation: String) {
        self.body = body
        self.wanted = wanted
        self.operation = operation
    }

    /// Nil while there is more.
    func advance() -> Result<PreparedBody, StoreError>? {
        if body.size <= PreparedBody.smallBody { return whole() }
        guard wanted.crc32c || wanted.md5 else { return .success(result(.stream(body))) }
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Self.piece, alignment: 4096)
        defer { unsafe memory.deallocate() }
        let end = min(done + Self.slice, body.size)
        while done < end {
            let count = Int(min(Int64(Self.piece), end - done))
            let piece = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[..<count])
            guard unsafe body.read(at: done, into: piece) else { return unreadable }
            unsafe take(UnsafeRawBufferPointer(piece))
            done += Int64(count)
        }
        return done == body.size ? .success(result(.stream(body))) : nil
    }

    private func whole() -> Result<PreparedBody, StoreError> {
        var isRead = false
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: Int(body.size)) { memory, count in
            let raw = unsafe UnsafeMutableRawBufferPointer(
                rebasing: UnsafeMutableRawBufferPointer(memory)[..<Int(body.size)])
            isRead = unsafe body.read(at: 0, into: raw)
            count = isRead ? raw.count : 0
        }
        guard isRead else { return unreadable }
        unsafe bytes.withUnsafeBytes { unsafe take($0) }
        return .success(result(.bytes(bytes)))
    }

    private func take(_ bytes: UnsafeRawBufferPointer) {
        if wanted.crc32c { crc = unsafe CRC32C.update(crc, bytes) }
        if wanted.md5 { unsafe md5.update(bytes) }
    }

    private func result(_ content: PreparedBody.Content) -> PreparedBody {
        PreparedBody(
            content: content, crc32c: wanted.crc32c ? crc : nil,
            md5: wanted.md5 ? md5.finish() : nil)
    }

    private var unreadable: Result<PreparedBody, StoreError> {
        .failure(
            StoreError(
                kind: .bodyUnreadable, operation: operation,
                message: "the data to be uploaded could not be read"))
    }
}
