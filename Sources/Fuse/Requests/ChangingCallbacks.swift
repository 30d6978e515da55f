// The callbacks that change something: each makes a reply, calls one operation and returns.
//
// A signal ends none of them half-way: what was asked of the bucket is carried out, and a process that
// is dying is answered EINTR meanwhile (see InterruptWatch). Writes are answered without waiting for a
// notification, as the kernel may hold one back until a page is written. Locks (flock, fcntl) are not
// here: the kernel keeps them for one machine.

internal import CFuse
internal import Glibc
internal import Operations

func addChangingCallbacks(_ table: inout fuse_lowlevel_ops) {
    addCreatingCallbacks(&table)
    addRemovingCallbacks(&table)
    addWritingCallbacks(&table)
    addAttributeChangingCallbacks(&table)
}

/// Who asks.
private func caller(of raw: fuse_req_t) -> Caller {
    let context = unsafe fuse_req_ctx(raw).pointee
    return Caller(uid: context.uid, gid: context.gid)
}

private func addCreatingCallbacks(_ table: inout fuse_lowlevel_ops) {
    unsafe table.create = { raw, parent, name, mode, info in
        let (core, operations) = unsafe context(of: raw!)
        let flags = unsafe info?.pointee.flags ?? 0
        let request = unsafe Request(raw!, core, size: Int(flags))
        let reply = Reply<CreateAnswer>(
            late: { Answers.lateCreate(request, $0) }, { request.deliver($0, Answers.create) })
        unsafe operations.create(
            parent: parent, name: bytes(of: name), permissions: UInt16(mode & 0o7777), flags: flags,
            caller: caller(of: raw!), reply: reply)
        request.settle(reply)
    }
    unsafe table.mknod = { raw, parent, name, mode, _ in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        let reply = entryReply(request)
        // Devices, pipes and sockets have no place in a bucket (mknod(2): EPERM).
        guard mode & 0o170000 == 0o100000 || mode & 0o170000 == 0 else {
            reply.fail(.notPermitted)
            return
        }
        unsafe operations.makeFile(
            parent: parent, name: bytes(of: name), permissions: UInt16(mode & 0o7777),
            caller: caller(of: raw!), reply: reply)
        request.settle(reply)
    }
    unsafe table.mkdir = { raw, parent, name, mode in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        let reply = entryReply(request)
        unsafe operations.makeDirectory(
            parent: parent, name: bytes(of: name), permissions: UInt16(mode & 0o7777),
            caller: caller(of: raw!), reply: reply)
        request.settle(reply)
    }
    unsafe table.symlink = { raw, target, parent, name in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        let reply = entryReply(request)
        unsafe operations.makeSymbolicLink(
            parent: parent, name: bytes(of: name), target: bytes(of: target),
            caller: caller(of: raw!), reply: reply)
        request.settle(reply)
    }
    // An object has one key (link(2): EPERM, the file system does not support hard links).
    unsafe table.link = { raw, _, _, _ in unsafe fuse_reply_err(raw, EPERM) }
}

private func entryReply(_ request: Request) -> Reply<EntryAnswer> {
    Reply<EntryAnswer>(
        late: { Answers.lateEntry(request, $0) }, { request.deliver($0, Answers.entry) })
}

private func addRemovingCallbacks(_ table: inout fuse_lowlevel_ops) {
    unsafe table.unlink = { raw, parent, name in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        let reply = Reply<Void> { request.deliver($0, Answers.done) }
        operations.unlink(parent: parent, name: unsafe bytes(of: name), reply: reply)
        request.settle(reply)
    }
    unsafe table.rmdir = { raw, parent, name in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        let reply = Reply<Void> { request.deliver($0, Answers.done) }
        operations.removeDirectory(parent: parent, name: unsafe bytes(of: name), reply: reply)
        request.settle(reply)
    }
    unsafe table.rename = { raw, parent, name, newParent, newName, flags in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        let reply = Reply<Void> { request.deliver($0, Answers.done) }
        let known = RenameFlags(rawValue: flags)
        guard known.isSubset(of: [.noReplace, .exchange]) else {
            reply.fail(.invalid)
            return
        }
        operations.rename(
            parent: parent, name: unsafe bytes(of: name), newParent: newParent,
            newName: unsafe bytes(of: newName), flags: known, reply: reply)
        request.settle(reply)
    }
}

private func addWritingCallbacks(_ table: inout fuse_lowlevel_ops) {
    unsafe table.write = { raw, inode, memory, size, offset, info in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core, size: size)
        let reply = Reply<Int> { request.deliver($0, Answers.count) }
        unsafe operations.write(
            inode: inode, handle: info?.pointee.fh ?? 0, offset: Int64(offset),
            bytes: UnsafeRawBufferPointer(start: memory, count: size), reply: reply)
        request.settle(reply)
    }
    unsafe table.fsync = { raw, inode, dataOnly, info in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        let reply = Reply<Void> { request.deliver($0, Answers.done) }
        operations.synchronize(
            inode: inode, handle: unsafe info?.pointee.fh ?? 0, dataOnly: dataOnly != 0,
            reply: reply)
        request.settle(reply)
    }
    unsafe table.fsyncdir = { raw, inode, _, info in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        let reply = Reply<Void> { request.deliver($0, Answers.done) }
        operations.synchronizeDirectory(
            inode: inode, handle: unsafe info?.pointee.fh ?? 0, reply: reply)
        request.settle(reply)
    }
    unsafe table.fallocate = { raw, inode, mode, offset, length, info in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        let reply = Reply<Void> { request.deliver($0, Answers.done) }
        operations.allocate(
            inode: inode, handle: unsafe info?.pointee.fh ?? 0, mode: mode, offset: Int64(offset),
            length: Int64(length), reply: reply)
        request.settle(reply)
    }
    unsafe table.copy_file_range = {
        raw, inode, offset, info, newInode, newOffset, newInfo, length, flags in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        let reply = Reply<Int> { request.deliver($0, Answers.count) }
        guard flags == 0 else {
            reply.fail(.invalid)
            return
        }
        operations.copyRange(
            from: FileRange(
                inode: inode, handle: unsafe info?.pointee.fh ?? 0, offset: Int64(offset)),
            to: FileRange(
                inode: newInode, handle: unsafe newInfo?.pointee.fh ?? 0,
                offset: Int64(newOffset)),
            length: Int64(length), reply: reply)
        request.settle(reply)
    }
    unsafe table.lseek = { raw, inode, offset, whence, info in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        let reply = Reply<Int64> { request.deliver($0, Answers.offset) }
        operations.seek(
            inode: inode, handle: unsafe info?.pointee.fh ?? 0, offset: Int64(offset),
            whence: whence, reply: reply)
        request.settle(reply)
    }
}

private func addAttributeChangingCallbacks(_ table: inout fuse_lowlevel_ops) {
    unsafe table.setattr = { raw, inode, status, wanted, info in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        let reply = Reply<AttributesAnswer> { request.deliver($0, Answers.attributes) }
        unsafe operations.setAttributes(
            inode: inode, handle: info?.pointee.fh,
            changes: AttributeChanges(status!.pointee, wanted), caller: caller(of: raw!),
            reply: reply)
        request.settle(reply)
    }
    unsafe table.setxattr = { raw, inode, name, value, size, flags in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        let reply = Reply<Void> { request.deliver($0, Answers.done) }
        let value = unsafe [UInt8](UnsafeRawBufferPointer(start: value, count: size))
        operations.setExtendedAttribute(
            inode: inode, name: unsafe bytes(of: name), value: value, flags: flags, reply: reply)
        request.settle(reply)
    }
    unsafe table.removexattr = { raw, inode, name in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        let reply = Reply<Void> { request.deliver($0, Answers.done) }
        operations.removeExtendedAttribute(
            inode: inode, name: unsafe bytes(of: name), reply: reply)
        request.settle(reply)
    }
}
