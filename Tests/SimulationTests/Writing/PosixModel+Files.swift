// Open files in the reference model: bytes, holes, sizes.

import Glibc
import Operations

extension PosixModel {
    /// FALLOC_FL_KEEP_SIZE and the modes that need it; Glibc's module does not show them.
    enum Allocation {
        static let keepSize: Int32 = 1
        static let punchHole: Int32 = 2
        static let zeroRange: Int32 = 16
    }

    func handle(_ slot: Int) throws(Errno) -> Handle {
        guard let handle = handles[slot] else { throw .badHandle }
        return handle
    }

    mutating func open(
        _ slot: Int, _ path: String, _ flags: Int32, _ permissions: UInt16
    ) throws(Errno) {
        precondition(handles[slot] == nil, "the slot is in use")
        let (directory, name) = try parent(of: path)
        let number: Number
        if let found = inodes[directory]!.entries[name] {
            if flags & O_CREAT != 0, flags & O_EXCL != 0 { throw .exists }
            switch inodes[found]!.kind {
            case .symbolicLink: throw .tooManySymbolicLinks
            case .directory:
                let isChange = flags & (O_CREAT | O_TRUNC) != 0 || flags & O_ACCMODE != O_RDONLY
                if isChange { throw .isDirectory }
            default: break
            }
            if flags & O_TRUNC != 0 { resize(found, to: 0) }
            number = found
        } else {
            guard flags & O_CREAT != 0 else { throw .noEntry }
            inodes[directory]!.modified = nil
            number = add(Inode(kind: .file, permissions: permissions), to: directory, name)
        }
        inodes[number]!.handles += 1
        handles[slot] = Handle(inode: number, flags: flags)
    }

    mutating func close(_ slot: Int) throws(Errno) {
        let number = try handle(slot).inode
        handles[slot] = nil
        inodes[number]!.handles -= 1
        drop(number)
    }

    func read(_ slot: Int, _ offset: Int64, _ size: Int) throws(Errno) -> [UInt8] {
        let handle = try handle(slot)
        guard handle.mayRead else { throw .badHandle }
        let inode = inodes[handle.inode]!
        if inode.kind == .directory { throw .isDirectory }
        let start = Int(min(offset, Int64(inode.bytes.count)))
        return Array(inode.bytes[start..<min(start + size, inode.bytes.count)])
    }

    mutating func write(
        _ slot: Int, _ offset: Int64, _ bytes: [UInt8]
    ) throws(Errno) -> Int {
        let handle = try handle(slot)
        guard handle.mayWrite else { throw .badHandle }
        guard !bytes.isEmpty else { return 0 }
        let size = inodes[handle.inode]!.bytes.count
        let start = handle.flags & O_APPEND != 0 ? size : Int(offset)
        put(bytes, into: handle.inode, at: start)
        return bytes.count
    }

    /// Writes bytes; what is between them and the old end becomes zeros.
    mutating func put(_ bytes: [UInt8], into number: Number, at start: Int) {
        let end = start + bytes.count
        if inodes[number]!.bytes.count < end {
            let gap = end - inodes[number]!.bytes.count
            inodes[number]!.bytes += [UInt8](repeating: 0, count: gap)
        }
        inodes[number]!.bytes.replaceSubrange(start..<end, with: bytes)
        inodes[number]!.modified = nil
    }

    mutating func resize(_ number: Number, to size: Int64) {
        let old = inodes[number]!.bytes.count
        if Int(size) <= old {
            inodes[number]!.bytes.removeLast(old - Int(size))
        } else {
            inodes[number]!.bytes += [UInt8](repeating: 0, count: Int(size) - old)
        }
        inodes[number]!.modified = nil
    }

    mutating func allocate(
        _ slot: Int, _ mode: Int32, _ offset: Int64, _ length: Int64
    ) throws(Errno) {
        guard length > 0, offset >= 0 else { throw .invalid }
        let handle = try handle(slot)
        let keepsSize = mode & Allocation.keepSize != 0
        let clears = mode & (Allocation.punchHole | Allocation.zeroRange) != 0
        if mode & Allocation.punchHole != 0, !keepsSize { throw .notSupported }
        guard handle.mayWrite else { throw .badHandle }
        let end = Int(offset + length)
        let old = inodes[handle.inode]!.bytes.count
        if clears {
            let range = min(Int(offset), old)..<min(end, old)
            let zeros = [UInt8](repeating: 0, count: range.count)
            inodes[handle.inode]!.bytes.replaceSubrange(range, with: zeros)
            inodes[handle.inode]!.modified = nil
        }
        if !keepsSize, end > old { resize(handle.inode, to: Int64(end)) }
        inodes[handle.inode]!.modified = nil
    }

    /// The least that a file system may answer: it may take zeros for data, and say so.
    func seek(_ slot: Int, _ offset: Int64, _ whence: Int32) throws(Errno) -> Int64 {
        let bytes = inodes[try handle(slot).inode]!.bytes
        guard offset >= 0, offset < bytes.count else { throw .noDeviceOrAddress }
        return offset
    }

    /// Whether an answer of lseek is right: no data is skipped, and none is behind the end.
    func allows(_ answer: StepOutcome, toSeek slot: Int, _ offset: Int64, _ whence: Int32) -> Bool {
        guard let handle = handles[slot], let inode = inodes[handle.inode] else {
            return answer == .failed(.badHandle)
        }
        let bytes = inode.bytes
        let isInside = offset >= 0 && offset < bytes.count
        let isData = whence == 3
        switch answer {
        case .failed(.noDeviceOrAddress):
            return !isInside || isData && bytes[Int(offset)...].allSatisfy { $0 == 0 }
        case .offset(let found):
            guard isInside, found >= offset, found <= bytes.count else { return false }
            // What SEEK_DATA skips, and where SEEK_HOLE says a hole begins, are zeros.
            if isData {
                return found < bytes.count
                    && bytes[Int(offset)..<Int(found)].allSatisfy { $0 == 0 }
            }
            return found == bytes.count || bytes[Int(found)] == 0
        default: return false
        }
    }
}
