// What tests of writes need beside Bench: bodies, and a server that reads what it is sent.

import Synchronization
import Transport

@testable import S3

/// A body in memory that counts how it is read.
final class MemoryBody: UploadBody {
    let bytes: [UInt8]
    /// Offsets from here on cannot be read.
    let readableEnd: Int64
    private let count = Mutex(0)

    init(_ bytes: [UInt8], readableEnd: Int64 = .max) {
        self.bytes = bytes
        self.readableEnd = readableEnd
    }

    var size: Int64 { Int64(bytes.count) }
    var reads: Int { count.withLock { $0 } }

    func read(at offset: Int64, into memory: UnsafeMutableRawBufferPointer) -> Bool {
        count.withLock { $0 += 1 }
        guard offset + Int64(memory.count) <= min(size, readableEnd) else { return false }
        bytes[Int(offset)..<Int(offset) + memory.count].withUnsafeBytes {
            memory.copyMemory(from: $0)
        }
        return true
    }

    /// Bytes that repeat late.
    static func pattern(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 9) }
    }
}

extension HTTPRequest {
    /// The whole body, read as the transport reads it; nil when it cannot be.
    func readBody() -> [UInt8]? {
        guard let source else { return body ?? [] }
        var all = [UInt8](repeating: 0, count: Int(source.size))
        var done = 0
        while done < all.count {
            let count = min(65536, all.count - done)
            let isRead = all.withUnsafeMutableBytes {
                source.read(
                    at: Int64(done),
                    into: UnsafeMutableRawBufferPointer(rebasing: $0[done..<done + count]))
            }
            guard isRead else { return nil }
            done += count
        }
        return all
    }

    var bodyText: String { String(decoding: body ?? [], as: UTF8.self) }
    /// Path and query without the host.
    var target: String { String(url.dropFirst("http://fake:9000/pail-bucket".count)) }
}

extension FakeAnswer {
    /// The answer of a write: the ETag is the MD5 of the body.
    static func wrote(_ body: [UInt8], _ more: [(String, String)] = []) -> FakeAnswer {
        FakeAnswer(
            status: 200,
            headers: [("ETag", "\"\(MD5.hash(body).hex)\""), ("Date", Self.date)] + more)
    }

    static let date = "Mon, 12 Oct 2009 17:50:00 GMT"

    static func head(
        _ etag: String, size: Int = 3, _ more: [(String, String)] = []
    ) -> FakeAnswer {
        FakeAnswer(
            status: 200,
            headers: [
                ("Content-Length", "\(size)"), ("ETag", "\"\(etag)\""), ("Last-Modified", date),
            ] + more)
    }
}

extension Bench {
    func put(
        _ bytes: [UInt8], key: String = "k", headers: ObjectHeaders = ObjectHeaders(),
        _ condition: WriteCondition = .none
    ) throws -> Result<WrittenObject, StoreError> {
        try wait { done in
            client.put(
                PutRequest(
                    key: ObjectKey(key), body: MemoryBody(bytes), headers: headers,
                    condition: condition), completion: done)
        }
    }

    func complete(
        _ parts: [UploadedPart], _ condition: WriteCondition = .none
    ) throws -> Result<WrittenObject, StoreError> {
        try wait { done in
            client.completeUpload(
                MultipartUpload(key: ObjectKey("k"), id: "u/1"), parts: parts,
                condition: condition, completion: done)
        }
    }
}
