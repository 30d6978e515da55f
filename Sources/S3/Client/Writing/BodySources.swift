// Between the file system's bodies and the transport's: hashes what is sent, and says that it goes.

internal import Synchronization
internal import Transport

/// The bytes of an `UploadBody`, hashed on their way when that is wanted. Made for one attempt; read
/// from one thread at a time, hence @unchecked.
final class HashedBody: HTTPBodySource, @unchecked Sendable {
    private let body: any UploadBody
    private let md5: MD5?
    /// Bytes hashed, from the start; negative once they were not read in order.
    private var hashed: Int64 = 0

    init(_ body: any UploadBody, hashes: Bool) {
        self.body = body
        md5 = hashes ? MD5() : nil
    }

    var size: Int64 { body.size }

    func read(at offset: Int64, into memory: UnsafeMutableRawBufferPointer) -> Bool {
        guard unsafe body.read(at: offset, into: memory) else { return false }
        guard let md5 else { return true }
        if offset == 0 {
            md5.reset()
            hashed = 0
        }
        guard offset == hashed else {
            hashed = -1
            return true
        }
        unsafe md5.update(UnsafeRawBufferPointer(memory))
        hashed += Int64(memory.count)
        return true
    }

    /// MD5 of all bytes; nil when they were not all read, or not hashed. Once.
    func digest() -> DigestBytes? {
        guard hashed == size else { return nil }
        return md5?.finish()
    }
}

/// Tells of each read.
final class WatchedBody: HTTPBodySource {
    private let source: any HTTPBodySource
    private let onRead: @Sendable () -> Void

    init(_ source: any HTTPBodySource, _ onRead: @escaping @Sendable () -> Void) {
        self.source = source
        self.onRead = onRead
    }

    var size: Int64 { source.size }

    func read(at offset: Int64, into memory: UnsafeMutableRawBufferPointer) -> Bool {
        onRead()
        return unsafe source.read(at: offset, into: memory)
    }
}

/// Set once, from any thread.
final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
}
