// The files, and what is known of them, of the file system that can be changed.

import Buffers
import Foundation
import Operations

extension StoringFileSystem {
    func getAttributes(
        inode: InodeNumber, handle: HandleNumber?, reply: Reply<AttributesAnswer>
    ) {
        perform(.getAttributes, reply) { state throws(Errno) in
            AttributesAnswer(attributes: try state.attributes(inode), timeout: state.timeout)
        }
    }

    func setAttributes(
        inode: InodeNumber, handle: HandleNumber?, changes: AttributeChanges, caller: Caller,
        reply: Reply<AttributesAnswer>
    ) {
        perform(.setAttributes, reply) { state throws(Errno) in
            var node = try state.node(inode)
            let now = Self.now
            func time(_ time: AttributeChanges.Time) -> Int64 {
                switch time {
                case .now: now
                case .at(let time): time
                }
            }
            if let handle, state.handles[handle]?.inode != inode { throw .badHandle }
            if let permissions = changes.permissions { node.permissions = permissions }
            if let uid = changes.uid { node.uid = uid }
            if let gid = changes.gid { node.gid = gid }
            if let size = changes.size {
                node.contents.resize(Int(size))
                node.modified = now
            }
            if let modified = changes.modified { node.modified = time(modified) }
            if let accessed = changes.accessed { node.accessed = time(accessed) }
            node.changed = now
            state.nodes[inode] = node
            return AttributesAnswer(
                attributes: try state.attributes(inode), timeout: state.timeout)
        }
    }

    func open(inode: InodeNumber, flags: Int32, reply: Reply<OpenAnswer>) {
        perform(.open, reply) { state throws(Errno) in
            _ = try state.node(inode)
            return state.open(inode, flags)
        }
    }

    func read(
        inode: InodeNumber, handle: HandleNumber, offset: Int64, size: Int,
        reply: Reply<ReadAnswer>
    ) {
        perform(.read, reply) { state throws(Errno) in
            guard state.handles[handle]?.inode == inode else { throw .badHandle }
            let end = min(Int(offset) + size, state.nodes[inode]!.contents.size)
            guard offset < end else { return ReadAnswer(pieces: []) }
            let bytes = state.nodes[inode]!.contents.bytes(Int(offset)..<end)
            let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: 16)
            bytes.withUnsafeBytes {
                memory.copyMemory(from: $0.baseAddress!, byteCount: bytes.count)
            }
            let buffer = Buffer(pointer: memory, capacity: bytes.count) { pointer, _ in
                pointer.deallocate()
            }
            return ReadAnswer(
                pieces: [ReadAnswer.Piece(buffer: buffer, offset: 0, count: bytes.count)])
        }
    }

    func write(
        inode: InodeNumber, handle: HandleNumber, offset: Int64, bytes: UnsafeRawBufferPointer,
        reply: Reply<Int>
    ) {
        let copy = Array(bytes)
        // Looked at now: once parked, the handle may be closed before the bytes are there.
        let isOpen = state.withLock { state in
            state.handles[handle].map { $0.inode == inode && $0.flags & O_ACCMODE != O_RDONLY }
        }
        perform(.write, reply) { state throws(Errno) in
            if let error = state.writeError { throw error }
            guard isOpen == true, state.nodes[inode] != nil else { throw .badHandle }
            state.largestWrite = max(state.largestWrite, copy.count)
            copy.withUnsafeBytes { state.nodes[inode]!.contents.write($0, at: Int(offset)) }
            state.touch(inode)
            return copy.count
        }
    }

    func flush(inode: InodeNumber, handle: HandleNumber, reply: Reply<Void>) {
        perform(.flush, reply) { state throws(Errno) in
            guard state.handles[handle]?.inode == inode else { throw .badHandle }
        }
    }

    func release(inode: InodeNumber, handle: HandleNumber, reply: Reply<Void>) {
        perform(.release, reply) { state throws(Errno) in
            guard state.handles.removeValue(forKey: handle)?.inode == inode else {
                throw .badHandle
            }
            state.nodes[inode]!.handles -= 1
            state.dropIfUnused(inode)
        }
    }

    func synchronize(
        inode: InodeNumber, handle: HandleNumber, dataOnly: Bool, reply: Reply<Void>
    ) {
        perform(.synchronize, reply) { state throws(Errno) in state.synchronized.append(dataOnly) }
    }

    /// As a local file system: plain, FALLOC_FL_KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE.
    func allocate(
        inode: InodeNumber, handle: HandleNumber, mode: Int32, offset: Int64, length: Int64,
        reply: Reply<Void>
    ) {
        perform(.allocate, reply) { state throws(Errno) in
            let range = Int(offset)..<Int(offset + length)
            switch mode {
            case 0, 1: break
            case 3: state.nodes[inode]!.contents.punch(range)
            case 0x10, 0x11: state.nodes[inode]!.contents.punch(range)
            default: throw .notSupported
            }
            if mode != 3 {
                state.nodes[inode]!.contents.allocate(range, keepSize: mode & 1 != 0)
            }
            state.touch(inode)
        }
    }

    func copyRange(
        from source: FileRange, to target: FileRange, length: Int64, reply: Reply<Int>
    ) {
        let areOpen = state.withLock { state in
            state.handles[source.handle]?.inode == source.inode
                && state.handles[target.handle]?.inode == target.inode
        }
        perform(.copyRange, reply) { state throws(Errno) in
            guard areOpen, state.nodes[source.inode] != nil, state.nodes[target.inode] != nil
            else { throw .badHandle }
            let start = Int(source.offset)
            let contents = state.nodes[source.inode]!.contents
            guard start < contents.size else { return 0 }
            let bytes = contents.bytes(start..<min(start + Int(length), contents.size))
            bytes.withUnsafeBytes {
                state.nodes[target.inode]!.contents.write($0, at: Int(target.offset))
            }
            state.touch(target.inode)
            return bytes.count
        }
    }

    func seek(
        inode: InodeNumber, handle: HandleNumber, offset: Int64, whence: Int32,
        reply: Reply<Int64>
    ) {
        perform(.seek, reply) { state throws(Errno) in
            // SEEK_DATA is 3, SEEK_HOLE 4.
            guard
                let place = try state.node(inode).contents.next(
                    hole: whence == 4, from: Int(offset))
            else { throw .noDeviceOrAddress }
            return Int64(place)
        }
    }

    func statFileSystem(inode: InodeNumber, reply: Reply<FileSystemStatistics>) {
        perform(.statFileSystem, reply) { _ throws(Errno) in
            FileSystemStatistics(
                blockSize: 4096, blocks: 1 << 40, freeBlocks: 1 << 39, files: 1000,
                freeFiles: 500, nameLimit: 255)
        }
    }

    // MARK: Extended attributes

    func getExtendedAttribute(inode: InodeNumber, name: [UInt8], reply: Reply<[UInt8]>) {
        perform(.getExtendedAttribute, reply) { state throws(Errno) in
            guard let value = try state.node(inode).extended[name] else { throw .noData }
            return value
        }
    }

    func listExtendedAttributes(inode: InodeNumber, reply: Reply<[[UInt8]]>) {
        perform(.listExtendedAttributes, reply) { state throws(Errno) in
            try state.node(inode).extended.keys.sorted { $0.lexicographicallyPrecedes($1) }
        }
    }

    func setExtendedAttribute(
        inode: InodeNumber, name: [UInt8], value: [UInt8], flags: Int32, reply: Reply<Void>
    ) {
        perform(.setExtendedAttribute, reply) { state throws(Errno) in
            let isThere = try state.node(inode).extended[name] != nil
            if flags == 1, isThere { throw .exists }
            if flags == 2, !isThere { throw .noData }
            state.nodes[inode]!.extended[name] = value
            state.nodes[inode]!.changed = Self.now
        }
    }

    func removeExtendedAttribute(inode: InodeNumber, name: [UInt8], reply: Reply<Void>) {
        perform(.removeExtendedAttribute, reply) { state throws(Errno) in
            _ = try state.node(inode)
            guard state.nodes[inode]!.extended.removeValue(forKey: name) != nil else {
                throw .noData
            }
        }
    }
}
