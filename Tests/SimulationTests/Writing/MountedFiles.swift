// Plays the steps of a program to a file system as the kernel would: walks paths by lookups, keeps
// descriptors, and refuses by itself what the kernel refuses before it asks.

import Glibc
import Operations
import Simulation

/// The kernel between one program and one mount.
final class MountedFiles {
    struct Descriptor {
        var inode: InodeNumber
        var handle: HandleNumber
        var flags: Int32
        var mayRead: Bool { flags & O_ACCMODE != O_WRONLY }
        var mayWrite: Bool { flags & O_ACCMODE != O_RDONLY }
    }

    let driver: FileSystemDriver
    var descriptors: [Int: Descriptor] = [:]
    private var generator: SeededGenerator

    /// - Parameter seed: decides where kernels differ (O_TRUNC as a flag or as SETATTR, and so on).
    init(driver: FileSystemDriver, seed: UInt64) {
        self.driver = driver
        generator = SeededGenerator(seed: seed)
    }

    // MARK: Paths

    private func parent(of path: String) throws(Errno) -> (InodeNumber, String) {
        var parts = path.split(separator: "/").map(String.init)
        guard let name = parts.popLast() else { throw .exists }
        var directory = FileSystemDriver.root
        for part in parts {
            guard let next = try driver.lookup(directory, part).attributes else { throw .noEntry }
            switch next.kind {
            case .directory: directory = next.inode
            // Links dangle.
            case .symbolicLink: throw .noEntry
            default: throw .notDirectory
            }
        }
        return (directory, name)
    }

    /// As before every removal: the kernel holds the inode of the name then.
    private func existing(_ path: String) throws(Errno) -> (InodeNumber, String) {
        let (directory, name) = try parent(of: path)
        guard try driver.lookup(directory, name).attributes != nil else { throw .noEntry }
        return (directory, name)
    }

    func find(_ path: String) throws(Errno) -> FileAttributes {
        if path.isEmpty { return try driver.attributes(FileSystemDriver.root) }
        let (directory, name) = try parent(of: path)
        guard let found = try driver.lookup(directory, name).attributes else { throw .noEntry }
        return found
    }

    private func follow(_ path: String) throws(Errno) -> FileAttributes {
        let found = try find(path)
        if found.kind == .symbolicLink { throw .noEntry }
        return found
    }

    /// Forgets inodes that no descriptor is on, as the kernel does under memory pressure.
    func forgetSome() {
        let held = Set(descriptors.values.map(\.inode))
        for inode in driver.lookups.keys.sorted(by: >) where !held.contains(inode) {
            if generator.chance(0.5) { driver.forget(inode) }
        }
    }

    // MARK: Steps

    /// Plays one step to its answer.
    func play(_ step: FileStep) -> StepOutcome {
        do throws(Errno) { return try perform(step) } catch { return .failed(error) }
    }

    private func perform(_ step: FileStep) throws(Errno) -> StepOutcome {
        switch step {
        case .open(let slot, let path, let flags, let permissions):
            descriptors[slot] = try open(path, flags, permissions)
        case .close(let slot):
            let descriptor = try descriptor(slot)
            descriptors[slot] = nil
            try driver.close(descriptor.handle)
        case .closeDuplicate(let slot): try driver.flush(try descriptor(slot).handle)
        case .synchronize(let slot):
            try driver.synchronize(
                try descriptor(slot).handle, dataOnly: generator.chance(0.3))
        case .read(let slot, let offset, let size):
            let descriptor = try descriptor(slot)
            guard descriptor.mayRead else { throw .badHandle }
            return .bytes(try read(descriptor.handle, offset, size))
        case .write(let slot, let offset, let bytes):
            return .count(try write(try descriptor(slot), offset, bytes))
        case .truncateOpen(let slot, let size):
            let descriptor = try descriptor(slot)
            guard descriptor.mayWrite else { throw .invalid }
            try driver.truncate(descriptor.inode, to: size, handle: descriptor.handle)
        case .status(let slot):
            return .attributes(attributes(try driver.attributes(try descriptor(slot).inode)))
        case .allocate(let slot, let mode, let offset, let length):
            guard length > 0, offset >= 0 else { throw .invalid }
            let descriptor = try descriptor(slot)
            guard descriptor.mayWrite else { throw .badHandle }
            try driver.allocate(descriptor.handle, mode: mode, offset: offset, length: length)
        case .seek(let slot, let offset, let whence):
            let handle = try descriptor(slot).handle
            return .offset(try driver.seek(handle, offset: offset, whence: whence))
        default: return try performPath(step)
        }
        return .done
    }

    private func performPath(_ step: FileStep) throws(Errno) -> StepOutcome {
        switch step {
        case .truncate(let path, let size):
            let found = try follow(path)
            guard found.kind == .file else { throw .isDirectory }
            try driver.truncate(found.inode, to: size)
        case .look(let path): return .attributes(attributes(try find(path)))
        case .names(let path):
            let found = try follow(path)
            guard found.kind == .directory else { throw .notDirectory }
            let names = try driver.names(found.inode, limit: 7, plus: generator.chance(0.8))
            return .names(Set(names.map(\.text)))
        case .makeDirectory(let path, let permissions):
            let (directory, name) = try parent(of: path)
            _ = try driver.makeDirectory(directory, name, permissions: permissions)
        case .removeDirectory(let path):
            let (directory, name) = try existing(path)
            try driver.removeDirectory(directory, name)
        case .unlink(let path):
            let (directory, name) = try existing(path)
            try driver.unlink(directory, name)
        case .rename(let from, let to, let noReplace): try rename(from, to, noReplace)
        case .link(let target, let path):
            let (directory, name) = try parent(of: path)
            _ = try driver.makeSymbolicLink(directory, name, target: target)
        case .readLink(let path):
            let found = try find(path)
            guard found.kind == .symbolicLink else { throw .invalid }
            return .text(try driver.readLink(found.inode))
        case .changePermissions(let path, let permissions):
            try driver.setAttributes(
                try follow(path).inode, AttributeChanges(permissions: permissions))
        case .setTime(let path, let time):
            try driver.setAttributes(
                try find(path).inode, AttributeChanges(modified: .at(time), accessed: .at(time)))
        default: preconditionFailure("not a step by path: \(step)")
        }
        return .done
    }

    func descriptor(_ slot: Int) throws(Errno) -> Descriptor {
        guard let descriptor = descriptors[slot] else { throw .badHandle }
        return descriptor
    }

    // MARK: Files

    private func open(
        _ path: String, _ flags: Int32, _ permissions: UInt16
    ) throws(Errno) -> Descriptor {
        let (directory, name) = try parent(of: path)
        let found = try driver.lookup(directory, name).attributes
        let kept = flags & ~(O_CREAT | O_EXCL)
        guard let found else {
            guard flags & O_CREAT != 0 else { throw .noEntry }
            let made = try driver.create(
                directory, name, permissions: permissions, flags: flags & ~O_CREAT)
            guard let inode = made.entry.attributes?.inode else { throw .inputOutput }
            return Descriptor(inode: inode, handle: made.open.handle, flags: flags)
        }
        if flags & O_CREAT != 0, flags & O_EXCL != 0 {
            // As if the lookup had been answered before another process made the name.
            guard generator.chance(0.5) else { throw .exists }
            let made = try driver.create(
                directory, name, permissions: permissions, flags: flags & ~O_CREAT)
            return Descriptor(
                inode: made.entry.attributes?.inode ?? 0, handle: made.open.handle, flags: flags)
        }
        switch found.kind {
        case .symbolicLink: throw .tooManySymbolicLinks
        case .directory: throw .isDirectory
        default: break
        }
        // Without FUSE_ATOMIC_O_TRUNC the kernel opens first, then truncates.
        let truncatesLater = flags & O_TRUNC != 0 && generator.chance(0.3)
        let opened = try driver.open(found.inode, flags: truncatesLater ? kept & ~O_TRUNC : kept)
        if truncatesLater {
            do throws(Errno) {
                try driver.truncate(found.inode, to: 0)
            } catch {
                try? driver.release(opened.handle)
                throw error
            }
        }
        return Descriptor(inode: found.inode, handle: opened.handle, flags: flags)
    }

    /// In requests as the kernel makes them.
    private func read(
        _ handle: HandleNumber, _ offset: Int64, _ size: Int
    ) throws(Errno) -> [UInt8] {
        let most = generator.chance(0.2) ? 4096 : 1 << 17
        var all: [UInt8] = []
        while all.count < size {
            let wanted = min(most, size - all.count)
            let bytes = try driver.read(handle, offset: offset + Int64(all.count), size: wanted)
            all += bytes
            if bytes.count < wanted { break }
        }
        return all
    }

    /// One request: whoever wants several plays several steps.
    private func write(
        _ descriptor: Descriptor, _ offset: Int64, _ bytes: [UInt8]
    ) throws(Errno) -> Int {
        guard descriptor.mayWrite else { throw .badHandle }
        guard !bytes.isEmpty else { return 0 }
        let isAppend = descriptor.flags & O_APPEND != 0
        let start = isAppend ? try driver.attributes(descriptor.inode).size : offset
        return try driver.write(descriptor.handle, bytes, at: start)
    }

    // MARK: Rename

    private func rename(_ from: String, _ to: String, _ noReplace: Bool) throws(Errno) {
        let (oldDirectory, oldName) = try parent(of: from)
        let (newDirectory, newName) = try parent(of: to)
        guard let source = try driver.lookup(oldDirectory, oldName).attributes else {
            throw .noEntry
        }
        let target = try driver.lookup(newDirectory, newName).attributes
        if noReplace, target != nil, generator.chance(0.5) { throw .exists }
        // The file system never sees what would make a loop.
        if !(noReplace && target != nil) {
            if source.kind == .directory, (to + "/").hasPrefix(from + "/"), to != from {
                throw .invalid
            }
            if (from + "/").hasPrefix(to + "/"), to != from { throw .notEmpty }
            if let target, target.inode == source.inode { return }
        }
        try driver.rename(
            oldDirectory, oldName, to: newDirectory, newName,
            flags: noReplace ? .noReplace : [])
    }

    private func attributes(_ found: FileAttributes) -> StepAttributes {
        StepAttributes(
            kind: found.kind, size: found.kind == .directory ? nil : found.size,
            permissions: found.permissions, modified: found.modified)
    }
}
