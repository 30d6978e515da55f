// The callbacks that change something: each makes a reply, calls one operation and returns.
//
// A signal ends none of them half-way: what was asked of the bucket is carried out, and a process that
// is dying is answered EINTR meanwhile (see InterruptWatch). The kernel then believes what it knew
// before; so when the change is done after all, it is told to forget just that (LateChanges.swift).
//
// None of their answers may wait for a notification: see Notifier.swift. Locks (flock, fcntl) are not
// here: the kernel keeps them for one machine. bmap, ioctl and poll have no meaning for objects.

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
        let request = unsafe Request(raw!, core)
        let name = unsafe bytes(of: name)
        let reply = Reply<CreateAnswer>(
            late: {
                Answers.lateCreate(request, $0)
                LateChanges.forget(request, parent, name)
            }, { request.deliver($0, Answers.create) })
        operations.create(
            parent: parent, name: name, permissions: UInt16(mode & 0o7777), flags: flags,
            caller: unsafe caller(of: raw!), reply: reply)
        request.settle(reply)
    }
    unsafe table.mknod = { raw, parent, name, mode, _ in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        let name = unsafe bytes(of: name)
        let reply = entryReply(request, parent, name)
        // Devices, pipes and sockets have no place in a bucket (mknod(2): EPERM).
        guard [0o100000, 0].contains(mode & 0o170000) else {
            reply.fail(.notPermitted)
            return
        }
        operations.makeFile(
            parent: parent, name: name, permissions: UInt16(mode & 0o7777),
            caller: unsafe caller(of: raw!), reply: reply)
        request.settle(reply)
    }
    unsafe table.mkdir = { raw, parent, name, mode in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        let name = unsafe bytes(of: name)
        let reply = entryReply(request, parent, name)
        operations.makeDirectory(
            parent: parent, name: name, permissions: UInt16(mode & 0o7777),
            caller: unsafe caller(of: raw!), reply: reply)
        request.settle(reply)
    }
    unsafe table.symlink = { raw, target, parent, name in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        let name = unsafe bytes(of: name)
        let reply = entryReply(request, parent, name)
        operations.makeSymbolicLink(
            parent: parent, name: name, target: unsafe bytes(of: target),
            caller: unsafe caller(of: raw!), reply: reply)
        request.settle(reply)
    }
    // An object has one key (link(2): EPERM, the file system does not support hard links).
    unsafe table.link = { raw, _, _, _ in unsafe fuse_reply_err(raw, EPERM) }
}

/// The reply of what makes a name.
private func entryReply(
    _ request: Request, _ parent: InodeNumber, _ name: [UInt8]
) -> Reply<EntryAnswer> {
    Reply<EntryAnswer>(
        late: {
            Answers.lateEntry(request, $0)
            LateChanges.forget(request, parent, name)
        }, { request.deliver($0, Answers.entry) })
}

/// The reply of what changes a name that is there.
private func nameReply(
    _ request: Request, _ parent: InodeNumber, _ name: [UInt8]
) -> Reply<Void> {
    Reply<Void>(
        late: { LateChanges.forget(request, parent, name) },
        { request.deliver($0, Answers.done) })
}

private func addRemovingCallbacks(_ table: inout fuse_lowlevel_ops) {
    unsafe table.unlink = { raw, parent, name in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        let name = unsafe bytes(of: name)
        let reply = nameReply(request, parent, name)
        operations.unlink(parent: parent, name: name, reply: reply)
        request.settle(reply)
    }
    unsafe table.rmdir = { raw, parent, name in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        let name = unsafe bytes(of: name)
        let reply = nameReply(request, parent, name)
        operations.removeDirectory(parent: parent, name: name, reply: reply)
        request.settle(reply)
    }
    unsafe table.rename = { raw, parent, name, newParent, newName, flags in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        let (name, newName) = unsafe (bytes(of: name), bytes(of: newName))
        let reply = Reply<Void>(
            late: {
                LateChanges.forget(request, parent, name)
                LateChanges.forget(request, newParent, newName)
            }, { request.deliver($0, Answers.done) })
        let known = RenameFlags(rawValue: flags)
        guard known.isSubset(of: [.noReplace, .exchange]) else {
            reply.fail(.invalid)
            return
        }
        operations.rename(
            parent: parent, name: name, newParent: newParent, newName: newName, flags: known,
            reply: reply)
        request.settle(reply)
    }
}

/// The answer counts in 32 bits: a longer copy would be answered as none.
private let longestCopy: Int64 = 0xFFFF_F000

private func addWritingCallbacks(_ table: inout fuse_lowlevel_ops) {
    unsafe table.write = { raw, inode, memory, size, offset, info in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core, size: size)
        let offset = Int64(offset)
        let reply = Reply<Int>(
            late: { LateChanges.forget(request, inode, offset, Int64($0)) },
            { request.deliver($0, Answers.count) })
        unsafe operations.write(
            inode: inode, handle: info?.pointee.fh ?? 0, offset: offset,
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
        let (offset, length) = (Int64(offset), Int64(length))
        let reply = Reply<Void>(
            late: { LateChanges.forget(request, inode, offset, length) },
            { request.deliver($0, Answers.done) })
        operations.allocate(
            inode: inode, handle: unsafe info?.pointee.fh ?? 0, mode: mode, offset: offset,
            length: length, reply: reply)
        request.settle(reply)
    }
    unsafe table.copy_file_range = {
        raw, inode, offset, info, newInode, newOffset, newInfo, length, flags in
        let (core, operations) = unsafe context(of: raw!)
        let request = unsafe Request(raw!, core)
        let newOffset = Int64(newOffset)
        let reply = Reply<Int>(
            late: { LateChanges.forget(request, newInode, newOffset, Int64($0)) },
            { request.deliver($0, Answers.count) })
        guard flags == 0 else {
            reply.fail(.invalid)
            return
        }
        operations.copyRange(
            from: FileRange(
                inode: inode, handle: unsafe info?.pointee.fh ?? 0, offset: Int64(offset)),
            to: FileRange(
                inode: newInode, handle: unsafe newInfo?.pointee.fh ?? 0, offset: newOffset),
            length: min(Int64(length), longestCopy), reply: reply)
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
        let changes = unsafe AttributeChanges(status!.pointee, wanted)
        let size = changes.size
        let reply = Reply<AttributesAnswer>(
            late: { _ in
                if size == nil {
                    LateChanges.forgetAttributes(request, inode)
                } else {
                    LateChanges.forget(request, inode, 0, 0)
                }
            }, { request.deliver($0, Answers.attributes) })
        unsafe operations.setAttributes(
            inode: inode, handle: info?.pointee.fh, changes: changes, caller: caller(of: raw!),
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
