// libfuse's callbacks: each makes a reply, calls one operation and returns.
//
// They run on libfuse's worker threads. They must be built here, in a nonisolated function outside
// main.swift, as closures written there belong to the main actor and trap on foreign threads.
// Operations libfuse is not given are answered by the kernel for good after one ENOSYS: access,
// locks (kernel-local), ioctl. Those that change something are in ChangingCallbacks.swift.

internal import CFuse
internal import Glibc
internal import Operations

/// The table of callbacks. The session's userdata is its `SessionCore`.
func makeCallbacks() -> fuse_lowlevel_ops {
    var table = fuse_lowlevel_ops()
    unsafe table.`init` = { userdata, connection in
        guard let userdata = unsafe userdata, let connection = unsafe connection else { return }
        let extraFlags = unsafe negotiate(&connection.pointee)
        unsafe Unmanaged<SessionCore>.fromOpaque(userdata).takeUnretainedValue()
            .greeted(extraFlags)
    }
    addNameCallbacks(&table)
    addFileCallbacks(&table)
    addDirectoryCallbacks(&table)
    addAttributeCallbacks(&table)
    addChangingCallbacks(&table)
    return table
}

/// The session a request belongs to, and its file system.
@inline(__always)
func context(of raw: fuse_req_t) -> (SessionCore, any FileOperations) {
    let core = unsafe Unmanaged<SessionCore>.fromOpaque(fuse_req_userdata(raw)!)
        .takeUnretainedValue()
    return (core, core.operations!)
}

private func addNameCallbacks(_ table: inout fuse_lowlevel_ops) {
    unsafe table.lookup = { raw, parent, name in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        let reply = Reply<EntryAnswer>(
            late: { Answers.lateEntry(request, $0) }, { request.deliver($0, Answers.entry) })
        operations.lookup(parent: parent, name: unsafe bytes(of: name), reply: reply)
        request.settle(reply)
    }
    unsafe table.forget = { raw, inode, count in
        let (_, operations) = unsafe context(of: raw!)
        operations.forget(inode: inode, count: count)
        unsafe fuse_reply_none(raw)
    }
    unsafe table.forget_multi = { raw, count, list in
        let (_, operations) = unsafe context(of: raw!)
        if let list = unsafe list {
            for index in 0..<count {
                operations.forget(
                    inode: unsafe list[index].ino, count: unsafe list[index].nlookup)
            }
        }
        unsafe fuse_reply_none(raw)
    }
    unsafe table.readlink = { raw, inode in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        let reply = Reply<[UInt8]> { request.deliver($0, Answers.link) }
        operations.readLink(inode: inode, reply: reply)
        request.settle(reply)
    }
    unsafe table.statfs = { raw, inode in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        let reply = Reply<FileSystemStatistics> { request.deliver($0, Answers.statistics) }
        operations.statFileSystem(inode: inode, reply: reply)
        request.settle(reply)
    }
}

private func addFileCallbacks(_ table: inout fuse_lowlevel_ops) {
    unsafe table.open = { raw, inode, info in
        let (core, operations) = unsafe context(of: raw!)
        let flags = unsafe info?.pointee.flags ?? 0
        let request = unsafe Request(raw!, core, size: Int(flags), inode: inode)
        let reply = Reply<OpenAnswer>(
            late: {
                Answers.lateOpen(request, $0)
                if flags & O_TRUNC != 0 { LateChanges.forget(request, inode, 0, 0) }
            }, { request.deliver($0, Answers.open) })
        operations.open(inode: inode, flags: flags, reply: reply)
        request.settle(reply)
    }
    unsafe table.read = { raw, inode, size, offset, info in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core, size: size)
        let reply = Reply<ReadAnswer> { request.deliver($0, Answers.read) }
        operations.read(
            inode: inode, handle: unsafe info?.pointee.fh ?? 0, offset: Int64(offset), size: size,
            reply: reply)
        request.settle(reply)
    }
    // A flush or release cannot be interrupted: what it does must be done.
    unsafe table.flush = { raw, inode, info in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        operations.flush(
            inode: inode, handle: unsafe info?.pointee.fh ?? 0,
            reply: Reply<Void> { request.deliver($0, Answers.done) })
    }
    unsafe table.release = { raw, inode, info in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        operations.release(
            inode: inode, handle: unsafe info?.pointee.fh ?? 0,
            reply: Reply<Void> { request.deliver($0, Answers.done) })
    }
}

private func addDirectoryCallbacks(_ table: inout fuse_lowlevel_ops) {
    unsafe table.opendir = { raw, inode, _ in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core, inode: inode)
        let reply = Reply<OpenAnswer>(
            late: { Answers.lateOpenDirectory(request, $0) },
            { request.deliver($0, Answers.openDirectory) })
        operations.openDirectory(inode: inode, reply: reply)
        request.settle(reply)
    }
    unsafe table.readdir = { raw, inode, size, offset, info in
        unsafe readDirectory(raw!, inode, size, offset, info, plus: false)
    }
    unsafe table.readdirplus = { raw, inode, size, offset, info in
        unsafe readDirectory(raw!, inode, size, offset, info, plus: true)
    }
    unsafe table.releasedir = { raw, inode, info in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        operations.releaseDirectory(
            inode: inode, handle: unsafe info?.pointee.fh ?? 0,
            reply: Reply<Void> { request.deliver($0, Answers.done) })
    }
}

private func readDirectory(
    _ raw: fuse_req_t, _ inode: InodeNumber, _ size: Int, _ offset: off_t,
    _ info: UnsafeMutablePointer<fuse_file_info>?, plus: Bool
) {
    let (core, operations) = unsafe context(of: raw)
    let request = unsafe Request(raw, core, size: size)
    let page = DirectoryPage(request: request, plus: plus)
    operations.readDirectory(
        inode: inode, handle: unsafe info?.pointee.fh ?? 0,
        offset: UInt64(bitPattern: Int64(offset)),
        reply: page)
    request.settle(page)
}

private func addAttributeCallbacks(_ table: inout fuse_lowlevel_ops) {
    unsafe table.getattr = { raw, inode, info in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        let reply = Reply<AttributesAnswer> { request.deliver($0, Answers.attributes) }
        operations.getAttributes(
            inode: inode, handle: unsafe info?.pointee.fh, reply: reply)
        request.settle(reply)
    }
    unsafe table.getxattr = { raw, inode, name, size in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core, size: size)
        let reply = Reply<[UInt8]> { request.deliver($0, Answers.extendedAttribute) }
        operations.getExtendedAttribute(
            inode: inode, name: unsafe bytes(of: name), reply: reply)
        request.settle(reply)
    }
    unsafe table.listxattr = { raw, inode, size in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core, size: size)
        let reply = Reply<[[UInt8]]> { request.deliver($0, Answers.extendedAttributeNames) }
        operations.listExtendedAttributes(inode: inode, reply: reply)
        request.settle(reply)
    }
}
