// The kernel's calls that change files: write, setattr, flush, fsync, fallocate, copy_file_range, and
// lseek, which asks where the holes are.

import Glibc
public import Operations

extension FileSystemDriver {
    /// As WRITE. The bytes handed over are overwritten when the call returns: whoever kept the
    /// pointer writes nonsense.
    @discardableResult
    public func beginWrite(
        _ handle: HandleNumber, _ bytes: [UInt8], at offset: Int64,
        then: @escaping @Sendable (Result<Int, Errno>) -> Void = { _ in }
    ) -> Pending<Int> {
        let inode = books.withLock { $0.files[handle] ?? 0 }
        var copy = bytes
        return begin(
            "write \(inode) handle \(handle) at \(offset) size \(bytes.count)", { _, _ in },
            then: then,
            ask: { reply in
                copy.withUnsafeMutableBytes { memory in
                    operations.write(
                        inode: inode, handle: handle, offset: offset,
                        bytes: UnsafeRawBufferPointer(memory), reply: reply)
                    if !memory.isEmpty { memset(memory.baseAddress!, 0xDD, memory.count) }
                }
            })
    }

    /// - Returns: how many bytes were taken.
    @discardableResult
    public func write(
        _ handle: HandleNumber, _ bytes: [UInt8], at offset: Int64
    ) throws(Errno) -> Int {
        try value(beginWrite(handle, bytes, at: offset))
    }

    /// As SETATTR.
    @discardableResult
    public func beginSetAttributes(
        _ inode: InodeNumber, _ changes: AttributeChanges, handle: HandleNumber? = nil,
        then: @escaping @Sendable (Result<AttributesAnswer, Errno>) -> Void = { _ in }
    ) -> Pending<AttributesAnswer> {
        begin(
            "setattr \(inode) \(changes)", { _, _ in }, then: then,
            ask: {
                operations.setAttributes(
                    inode: inode, handle: handle, changes: changes, caller: Self.caller,
                    reply: $0)
            })
    }

    @discardableResult
    public func setAttributes(
        _ inode: InodeNumber, _ changes: AttributeChanges, handle: HandleNumber? = nil
    ) throws(Errno) -> FileAttributes {
        try value(beginSetAttributes(inode, changes, handle: handle)).attributes
    }

    /// As SETATTR of truncate(2), or of ftruncate(2) with a handle.
    public func truncate(
        _ inode: InodeNumber, to size: Int64, handle: HandleNumber? = nil
    ) throws(Errno) {
        try setAttributes(inode, AttributeChanges(size: size), handle: handle)
    }

    /// As FLUSH: a close(2) of one of the handle's descriptors.
    @discardableResult
    public func beginFlush(
        _ handle: HandleNumber,
        then: @escaping @Sendable (Result<Void, Errno>) -> Void = { _ in }
    ) -> Pending<Void> {
        let inode = books.withLock { $0.files[handle] ?? 0 }
        return begin(
            "flush \(inode) handle \(handle)", { _, _ in }, then: then,
            ask: { operations.flush(inode: inode, handle: handle, reply: $0) })
    }

    public func flush(_ handle: HandleNumber) throws(Errno) { try value(beginFlush(handle)) }

    /// As FSYNC.
    @discardableResult
    public func beginSynchronize(
        _ handle: HandleNumber, dataOnly: Bool = false,
        then: @escaping @Sendable (Result<Void, Errno>) -> Void = { _ in }
    ) -> Pending<Void> {
        let inode = books.withLock { $0.files[handle] ?? 0 }
        return begin(
            "fsync \(inode) handle \(handle)", { _, _ in }, then: then,
            ask: {
                operations.synchronize(
                    inode: inode, handle: handle, dataOnly: dataOnly, reply: $0)
            })
    }

    public func synchronize(
        _ handle: HandleNumber, dataOnly: Bool = false
    ) throws(Errno) {
        try value(beginSynchronize(handle, dataOnly: dataOnly))
    }

    /// As RELEASE, without the FLUSH that close(2) sends before.
    public func release(_ handle: HandleNumber) throws(Errno) {
        guard let inode = books.withLock({ $0.files.removeValue(forKey: handle) }) else {
            throw .badHandle
        }
        let pending: Pending<Void> = begin(
            "release \(inode) handle \(handle)", { _, _ in }, then: { _ in },
            ask: { operations.release(inode: inode, handle: handle, reply: $0) })
        try value(pending)
    }

    /// As FALLOCATE.
    public func allocate(
        _ handle: HandleNumber, mode: Int32, offset: Int64, length: Int64
    ) throws(Errno) {
        let inode = books.withLock { $0.files[handle] ?? 0 }
        let pending: Pending<Void> = begin(
            "fallocate \(inode) mode \(mode) \(offset)+\(length)", { _, _ in }, then: { _ in },
            ask: {
                operations.allocate(
                    inode: inode, handle: handle, mode: mode, offset: offset, length: length,
                    reply: $0)
            })
        try value(pending)
    }

    /// As COPY_FILE_RANGE.
    ///
    /// - Returns: how many bytes were copied.
    public func copyRange(
        from source: HandleNumber, at sourceOffset: Int64, to target: HandleNumber,
        at targetOffset: Int64, length: Int64
    ) throws(Errno) -> Int {
        let (from, to) = books.withLock { books in
            (
                FileRange(inode: books.files[source] ?? 0, handle: source, offset: sourceOffset),
                FileRange(inode: books.files[target] ?? 0, handle: target, offset: targetOffset)
            )
        }
        let pending: Pending<Int> = begin(
            "copy_file_range \(from.inode) to \(to.inode)", { _, _ in }, then: { _ in },
            ask: { operations.copyRange(from: from, to: to, length: length, reply: $0) })
        return try value(pending)
    }

    /// As LSEEK with SEEK_DATA (3) or SEEK_HOLE (4).
    public func seek(
        _ handle: HandleNumber, offset: Int64, whence: Int32
    ) throws(Errno) -> Int64 {
        let inode = books.withLock { $0.files[handle] ?? 0 }
        let pending: Pending<Int64> = begin(
            "lseek \(inode) \(offset) \(whence)", { _, _ in }, then: { _ in },
            ask: {
                operations.seek(
                    inode: inode, handle: handle, offset: offset, whence: whence, reply: $0)
            })
        return try value(pending)
    }
}
