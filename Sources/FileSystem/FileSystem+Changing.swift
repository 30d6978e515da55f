// The changing operations: each goes to the writing half, or is EROFS on a read-only mount.

public import Operations

extension FileSystem {
    public func create(
        parent: InodeNumber, name: [UInt8], permissions: UInt16, flags: Int32, caller: Caller,
        reply: Reply<CreateAnswer>
    ) {
        guard let writing = writing(reply) else { return }
        writing.create(parent, name, permissions: permissions, flags: flags, caller, reply)
    }

    public func makeFile(
        parent: InodeNumber, name: [UInt8], permissions: UInt16, caller: Caller,
        reply: Reply<EntryAnswer>
    ) {
        writing(reply)?.makeNode(parent, name, permissions: permissions, caller, reply)
    }

    public func makeDirectory(
        parent: InodeNumber, name: [UInt8], permissions: UInt16, caller: Caller,
        reply: Reply<EntryAnswer>
    ) {
        writing(reply)?.makeDirectory(parent, name, permissions: permissions, caller, reply)
    }

    public func makeSymbolicLink(
        parent: InodeNumber, name: [UInt8], target: [UInt8], caller: Caller,
        reply: Reply<EntryAnswer>
    ) {
        writing(reply)?.makeSymbolicLink(parent, name, target: target, caller, reply)
    }

    public func unlink(parent: InodeNumber, name: [UInt8], reply: Reply<Void>) {
        writing(reply)?.unlink(parent, name, reply)
    }

    public func removeDirectory(parent: InodeNumber, name: [UInt8], reply: Reply<Void>) {
        writing(reply)?.removeDirectory(parent, name, reply)
    }

    public func rename(
        parent: InodeNumber, name: [UInt8], newParent: InodeNumber, newName: [UInt8],
        flags: RenameFlags, reply: Reply<Void>
    ) {
        writing(reply)?.rename(parent, name, to: newParent, newName, flags: flags, reply)
    }

    public func setAttributes(
        inode: InodeNumber, handle: HandleNumber?, changes: AttributeChanges, caller: Caller,
        reply: Reply<AttributesAnswer>
    ) {
        guard let writing = writing(reply) else { return }
        let isOpen = handle.flatMap { handles.find($0) }?.mayWrite ?? false
        writing.setAttributes(inode, changes, isOpen: isOpen, reply)
    }

    public func setExtendedAttribute(
        inode: InodeNumber, name: [UInt8], value: [UInt8], flags: Int32, reply: Reply<Void>
    ) {
        writing(reply)?.setExtendedAttribute(inode, name, value, flags: flags, reply)
    }

    public func removeExtendedAttribute(inode: InodeNumber, name: [UInt8], reply: Reply<Void>) {
        writing(reply)?.setExtendedAttribute(inode, name, nil, flags: 0, reply)
    }

    public func synchronizeDirectory(
        inode: InodeNumber, handle: HandleNumber, reply: Reply<Void>
    ) {
        guard let writing else {
            reply.succeed()
            return
        }
        writing.keeper.flush { writing.deleter.flush { reply.succeed() } }
    }

    /// Reading and writing is cheaper for small files, and what kernels do on this answer.
    public func copyRange(
        from source: FileRange, to target: FileRange, length: Int64, reply: Reply<Int>
    ) {
        reply.fail(.crossDevice)
    }

    /// The writing half; answers EROFS when there is none.
    private func writing<Value>(_ reply: Reply<Value>) -> Writing? {
        if writing == nil { reply.fail(.readOnly) }
        return writing
    }
}
