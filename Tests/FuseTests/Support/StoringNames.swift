// The names of the file system that can be changed.

import Foundation
import Operations

extension StoringFileSystem {
    func lookup(parent: InodeNumber, name: [UInt8], reply: Reply<EntryAnswer>) {
        perform(.lookup, reply) { state throws(Errno) in
            // The kernel leaves that to us up to 4095 bytes.
            if name.count > 255 { throw .nameTooLong }
            if let inode = try state.node(parent).children[name] { return try state.entry(inode) }
            return EntryAnswer(
                attributes: nil, entryTimeout: state.timeout, attributesTimeout: .zero)
        }
    }

    func forget(inode: InodeNumber, count: UInt64) {
        state.withLock { state in
            state.counts[.forget, default: 0] += 1
            state.nodes[inode]?.lookups -= count
            state.dropIfUnused(inode)
        }
    }

    func create(
        parent: InodeNumber, name: [UInt8], permissions: UInt16, flags: Int32, caller: Caller,
        reply: Reply<CreateAnswer>
    ) {
        perform(.create, reply) { state throws(Errno) in
            state.callers.insert(caller)
            if let inode = try state.node(parent).children[name] {
                if flags & O_EXCL != 0 { throw .exists }
                return CreateAnswer(entry: try state.entry(inode), open: state.open(inode, flags))
            }
            let inode = state.make(.file, permissions, caller, in: parent, name)
            return CreateAnswer(entry: try state.entry(inode), open: state.open(inode, flags))
        }
    }

    func makeFile(
        parent: InodeNumber, name: [UInt8], permissions: UInt16, caller: Caller,
        reply: Reply<EntryAnswer>
    ) {
        make(.makeFile, .file, parent, name, permissions, caller, reply)
    }

    func makeDirectory(
        parent: InodeNumber, name: [UInt8], permissions: UInt16, caller: Caller,
        reply: Reply<EntryAnswer>
    ) {
        make(.makeDirectory, .directory, parent, name, permissions, caller, reply)
    }

    func makeSymbolicLink(
        parent: InodeNumber, name: [UInt8], target: [UInt8], caller: Caller,
        reply: Reply<EntryAnswer>
    ) {
        // Permissions that no symbolic link is ever shown with.
        make(.makeSymbolicLink, .symbolicLink, parent, name, 0o600, caller, reply, target)
    }

    private func make(
        _ operation: Operation, _ kind: FileAttributes.Kind, _ parent: InodeNumber,
        _ name: [UInt8], _ permissions: UInt16, _ caller: Caller, _ reply: Reply<EntryAnswer>,
        _ target: [UInt8] = []
    ) {
        perform(operation, reply) { state throws(Errno) in
            if try state.node(parent).children[name] != nil { throw .exists }
            let inode = state.make(kind, permissions, caller, in: parent, name)
            state.nodes[inode]!.target = target
            return try state.entry(inode)
        }
    }

    func readLink(inode: InodeNumber, reply: Reply<[UInt8]>) {
        perform(.readLink, reply) { state throws(Errno) in try state.node(inode).target }
    }

    func unlink(parent: InodeNumber, name: [UInt8], reply: Reply<Void>) {
        perform(.unlink, reply) { state throws(Errno) in try state.remove(name, from: parent) }
    }

    func removeDirectory(parent: InodeNumber, name: [UInt8], reply: Reply<Void>) {
        perform(.removeDirectory, reply) { state throws(Errno) in
            guard let inode = try state.node(parent).children[name] else { throw .noEntry }
            guard try state.node(inode).children.isEmpty else { throw .notEmpty }
            try state.remove(name, from: parent)
        }
    }

    func rename(
        parent: InodeNumber, name: [UInt8], newParent: InodeNumber, newName: [UInt8],
        flags: RenameFlags, reply: Reply<Void>
    ) {
        perform(.rename, reply) { state throws(Errno) in
            guard let inode = try state.node(parent).children[name] else { throw .noEntry }
            let replaced = try state.node(newParent).children[newName]
            if flags.contains(.exchange) {
                guard let replaced else { throw .noEntry }
                state.nodes[parent]!.children[name] = replaced
                state.nodes[newParent]!.children[newName] = inode
            } else {
                if let replaced {
                    if flags.contains(.noReplace) { throw .exists }
                    guard try state.node(replaced).children.isEmpty else { throw .notEmpty }
                    try state.remove(newName, from: newParent)
                }
                state.nodes[parent]!.children[name] = nil
                state.nodes[newParent]!.children[newName] = inode
                state.nodes[inode]!.parent = newParent
            }
            state.touch(parent)
            state.touch(newParent)
        }
    }

    // MARK: Directories

    func openDirectory(inode: InodeNumber, reply: Reply<OpenAnswer>) {
        perform(.openDirectory, reply) { state throws(Errno) in
            OpenAnswer(
                handle: 0, keepCache: state.keepCache, cacheDirectory: state.keepCache)
        }
    }

    func readDirectory(
        inode: InodeNumber, handle: HandleNumber, offset: UInt64, reply: any DirectoryReply
    ) {
        let names: [(name: [UInt8], attributes: FileAttributes)] = state.withLock { state in
            state.counts[.readDirectory, default: 0] += 1
            let children = (state.nodes[inode]?.children ?? [:]).sorted { $0.value < $1.value }
            return children.compactMap { name, child in
                (try? state.attributes(child)).map { (name, $0) }
            }
        }
        for (index, name) in names.enumerated() where index >= offset {
            let timeout = state.withLock { $0.timeout }
            guard
                reply.add(
                    name: name.name, attributes: name.attributes, entryTimeout: timeout,
                    attributesTimeout: timeout, nextOffset: UInt64(index + 1))
            else { break }
            if reply.plus { state.withLock { $0.nodes[name.attributes.inode]?.lookups += 1 } }
        }
        reply.finish()
    }

    func releaseDirectory(inode: InodeNumber, handle: HandleNumber, reply: Reply<Void>) {
        perform(.releaseDirectory, reply) { _ throws(Errno) in }
    }

    func synchronizeDirectory(inode: InodeNumber, handle: HandleNumber, reply: Reply<Void>) {
        perform(.synchronizeDirectory, reply) { _ throws(Errno) in }
    }
}

extension StoringFileSystem.State {
    mutating func remove(_ name: [UInt8], from parent: InodeNumber) throws(Errno) {
        guard let inode = try node(parent).children[name] else { throw .noEntry }
        nodes[parent]!.children[name] = nil
        nodes[inode]!.links = 0
        nodes[inode]!.changed = StoringFileSystem.now
        touch(parent)
        dropIfUnused(inode)
    }
}
