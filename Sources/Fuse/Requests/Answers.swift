// The answers, each as one call of libfuse. An answer the kernel no longer wants (the request was
// aborted meanwhile) gives back what it counted or opened.

internal import Buffers
internal import CFuse
internal import Glibc
internal import Operations

/// Functions that write one kind of answer each. They capture nothing.
enum Answers {
    @Sendable static func entry(_ request: Request, _ result: Result<EntryAnswer, Errno>) {
        switch result {
        case .success(let answer):
            var entry = answer.parameters
            if unsafe fuse_reply_entry(request.raw, &entry) != 0 { lateEntry(request, answer) }
        case .failure(let errno):
            unsafe fuse_reply_err(request.raw, errno.rawValue)
        }
    }

    @Sendable static func attributes(
        _ request: Request, _ result: Result<AttributesAnswer, Errno>
    ) {
        switch result {
        case .success(let answer):
            var status = answer.attributes.status
            unsafe fuse_reply_attr(request.raw, &status, answer.timeout.kernelSeconds)
        case .failure(let errno):
            unsafe fuse_reply_err(request.raw, errno.rawValue)
        }
    }

    @Sendable static func link(_ request: Request, _ result: Result<[UInt8], Errno>) {
        switch result {
        case .success(let target): bytes(request, target)
        case .failure(let errno): unsafe fuse_reply_err(request.raw, errno.rawValue)
        }
    }

    /// `size` of the request holds the open's flags.
    @Sendable static func open(_ request: Request, _ result: Result<OpenAnswer, Errno>) {
        switch result {
        case .success(let answer):
            var info = fuse_file_info()
            info.fh = answer.handle
            info.keep_cache = answer.keepCache ? 1 : 0
            // Nothing was written through such a handle, so its close need not wait for a flush;
            // but O_TRUNC empties a file also when it is opened for reading only.
            info.noflush = Int32(request.size) & (O_ACCMODE | O_TRUNC) == O_RDONLY ? 1 : 0
            if unsafe fuse_reply_open(request.raw, &info) != 0 { lateOpen(request, answer) }
        case .failure(let errno):
            unsafe fuse_reply_err(request.raw, errno.rawValue)
        }
    }

    @Sendable static func openDirectory(_ request: Request, _ result: Result<OpenAnswer, Errno>) {
        switch result {
        case .success(let answer):
            var info = fuse_file_info()
            info.fh = answer.handle
            info.keep_cache = answer.keepCache ? 1 : 0
            info.cache_readdir = answer.cacheDirectory ? 1 : 0
            if unsafe fuse_reply_open(request.raw, &info) != 0 {
                lateOpenDirectory(request, answer)
            }
        case .failure(let errno):
            unsafe fuse_reply_err(request.raw, errno.rawValue)
        }
    }

    /// The bytes stay alive until written: `result` holds their buffers. Never more than asked for.
    @Sendable static func read(_ request: Request, _ result: Result<ReadAnswer, Errno>) {
        switch result {
        case .success(let answer):
            let pieces = answer.pieces
            if pieces.count == 1 {
                let piece = pieces[0]
                let bytes = unsafe piece.buffer.pointer.advanced(by: piece.offset)
                unsafe fuse_reply_buf(
                    request.raw, bytes.assumingMemoryBound(to: CChar.self),
                    min(piece.count, request.size))
            } else if pieces.isEmpty {
                unsafe fuse_reply_buf(request.raw, nil, 0)
            } else {
                gather(request, pieces)
            }
            withExtendedLifetime(answer) {}
        case .failure(let errno):
            unsafe fuse_reply_err(request.raw, errno.rawValue)
        }
    }

    private static func gather(_ request: Request, _ pieces: [ReadAnswer.Piece]) {
        unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: pieces.count) { vectors in
            var left = request.size
            var count = 0
            for piece in pieces where left > 0 && piece.count > 0 {
                let length = min(piece.count, left)
                unsafe vectors.initializeElement(
                    at: count,
                    to: iovec(
                        iov_base: piece.buffer.pointer.advanced(by: piece.offset), iov_len: length))
                left -= length
                count += 1
            }
            unsafe fuse_reply_iov(request.raw, vectors.baseAddress, Int32(count))
        }
    }

    @Sendable static func done(_ request: Request, _ result: Result<Void, Errno>) {
        switch result {
        case .success: unsafe fuse_reply_err(request.raw, 0)
        case .failure(let errno): unsafe fuse_reply_err(request.raw, errno.rawValue)
        }
    }

    @Sendable static func statistics(
        _ request: Request, _ result: Result<FileSystemStatistics, Errno>
    ) {
        switch result {
        case .success(let answer):
            var status = answer.status
            unsafe fuse_reply_statfs(request.raw, &status)
        case .failure(let errno):
            unsafe fuse_reply_err(request.raw, errno.rawValue)
        }
    }

    /// A size of 0 asks how large the value is; too small a size is ERANGE.
    @Sendable static func extendedAttribute(
        _ request: Request, _ result: Result<[UInt8], Errno>
    ) {
        switch result {
        case .success(let value) where request.size == 0:
            unsafe fuse_reply_xattr(request.raw, value.count)
        case .success(let value) where value.count > request.size:
            unsafe fuse_reply_err(request.raw, ERANGE)
        case .success(let value):
            bytes(request, value)
        case .failure(let errno):
            unsafe fuse_reply_err(request.raw, errno.rawValue)
        }
    }

    /// Names, each followed by NUL, as listxattr(2) wants them.
    @Sendable static func extendedAttributeNames(
        _ request: Request, _ result: Result<[[UInt8]], Errno>
    ) {
        extendedAttribute(request, result.map { $0.reduce(into: []) { $0 += $1 + [0] } })
    }

    /// The entry and the open file. Closing it always flushes: the file is new.
    @Sendable static func create(_ request: Request, _ result: Result<CreateAnswer, Errno>) {
        switch result {
        case .success(let answer):
            var entry = answer.entry.parameters
            var info = fuse_file_info()
            info.fh = answer.open.handle
            info.keep_cache = answer.open.keepCache ? 1 : 0
            if unsafe fuse_reply_create(request.raw, &entry, &info) != 0 {
                lateCreate(request, answer)
            }
        case .failure(let errno):
            unsafe fuse_reply_err(request.raw, errno.rawValue)
        }
    }

    /// Bytes taken by a write or a copy.
    @Sendable static func count(_ request: Request, _ result: Result<Int, Errno>) {
        switch result {
        case .success(let count): unsafe fuse_reply_write(request.raw, count)
        case .failure(let errno): unsafe fuse_reply_err(request.raw, errno.rawValue)
        }
    }

    @Sendable static func offset(_ request: Request, _ result: Result<Int64, Errno>) {
        switch result {
        case .success(let offset): unsafe fuse_reply_lseek(request.raw, off_t(offset))
        case .failure(let errno): unsafe fuse_reply_err(request.raw, errno.rawValue)
        }
    }

    private static func bytes(_ request: Request, _ bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { raw in
            _ = unsafe fuse_reply_buf(
                request.raw, raw.baseAddress?.assumingMemoryBound(to: CChar.self), raw.count)
        }
    }
}

// What came too late is given back on the service thread: the answering thread may hold locks of
// the file system.
extension Answers {
    static func lateEntry(_ request: Request, _ answer: EntryAnswer) {
        guard let inode = answer.attributes?.inode else { return }
        request.core.notifier.run { [core = request.core] in
            core.operations?.forget(inode: inode, count: 1)
        }
    }

    static func lateOpen(_ request: Request, _ answer: OpenAnswer) {
        request.core.notifier.run {
            request.core.operations?.release(
                inode: request.inode, handle: answer.handle, reply: Reply { _ in })
        }
    }

    static func lateCreate(_ request: Request, _ answer: CreateAnswer) {
        guard let inode = answer.entry.attributes?.inode else { return }
        request.core.notifier.run { [core = request.core] in
            core.operations?.release(
                inode: inode, handle: answer.open.handle, reply: Reply { _ in })
            core.operations?.forget(inode: inode, count: 1)
        }
    }

    static func lateOpenDirectory(_ request: Request, _ answer: OpenAnswer) {
        request.core.notifier.run {
            request.core.operations?.releaseDirectory(
                inode: request.inode, handle: answer.handle, reply: Reply { _ in })
        }
    }
}
