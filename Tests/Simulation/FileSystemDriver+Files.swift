// The kernel's calls on files.

public import Glibc
public import Operations

extension FileSystemDriver {
    /// As OPEN.
    @discardableResult
    public func beginOpen(
        _ inode: InodeNumber, flags: Int32 = O_RDONLY,
        then: @escaping @Sendable (Result<OpenAnswer, Errno>) -> Void = { _ in }
    ) -> Pending<OpenAnswer> {
        begin(
            "open \(inode)", { $0.files[$1.handle] = inode }, then: then,
            ask: {
                operations.open(inode: inode, flags: flags, reply: $0)
            })
    }

    public func open(_ inode: InodeNumber, flags: Int32 = O_RDONLY) throws(Errno) -> OpenAnswer {
        try value(beginOpen(inode, flags: flags))
    }

    /// As READ; the bytes are copied and the answer's buffers let go.
    @discardableResult
    public func beginRead(
        _ handle: HandleNumber, offset: Int64, size: Int,
        then: @escaping @Sendable (Result<[UInt8], Errno>) -> Void = { _ in }
    ) -> Pending<[UInt8]> {
        let inode = books.withLock { $0.files[handle] ?? 0 }
        let pending: Pending<[UInt8]> = pend(
            "read \(inode) handle \(handle) at \(offset) size \(size)", { _, _ in }, then: then)
        operations.read(
            inode: inode, handle: handle, offset: offset, size: size,
            reply: pending.reply(\.bytes))
        return pending
    }

    public func read(_ handle: HandleNumber, offset: Int64, size: Int) throws(Errno) -> [UInt8] {
        try value(beginRead(handle, offset: offset, size: size))
    }

    /// Reads a file to its end in requests of `size`, as `cat` does.
    public func readAll(_ handle: HandleNumber, size: Int = 1 << 17) throws(Errno) -> [UInt8] {
        var all: [UInt8] = []
        while true {
            let bytes = try read(handle, offset: Int64(all.count), size: size)
            all += bytes
            if bytes.count < size { return all }
        }
    }

    /// As FLUSH and RELEASE.
    public func beginClose(
        _ handle: HandleNumber,
        then: @escaping @Sendable (Result<Void, Errno>) -> Void = { _ in }
    ) {
        guard let inode = books.withLock({ $0.files.removeValue(forKey: handle) }) else {
            return then(.failure(.badHandle))
        }
        let _: Pending<Void> = begin(
            "flush \(inode)", { _, _ in },
            then: { [self] flushed in
                let _: Pending<Void> = begin(
                    "release \(inode)", { _, _ in },
                    then: { released in then(flushed.flatMap { released }) },
                    ask: { operations.release(inode: inode, handle: handle, reply: $0) })
            }, ask: { operations.flush(inode: inode, handle: handle, reply: $0) })
    }

    public func close(_ handle: HandleNumber) throws(Errno) {
        try finished { beginClose(handle, then: $0) }
    }

    /// Opens, reads and closes a path.
    public func contents(of path: String) throws(Errno) -> [UInt8] {
        let handle = try open(try walk(path).inode).handle
        let result = Result { () throws(Errno) in try readAll(handle) }
        try close(handle)
        return try result.get()
    }

}

extension ReadAnswer {
    /// All bytes in order, copied.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        for piece in pieces {
            bytes += UnsafeRawBufferPointer(
                start: piece.buffer.pointer + piece.offset, count: piece.count)
        }
        return bytes
    }
}
