// The reference model: a POSIX file system in memory that plays one step at a time, and says what
// each must answer. Knows nothing of buckets.
//
// Symbolic links are made dangling by those who use it: what follows one finds nothing.

import Glibc
import Operations

/// Directories, files and links, by number.
struct PosixModel: Sendable {
    typealias Number = Int

    struct Inode: Sendable {
        var kind: FileAttributes.Kind
        /// Nil when it is not known.
        var permissions: UInt16?
        var bytes: [UInt8] = []
        var target = ""
        var entries: [String: Number] = [:]
        /// Explicitly set, and not overtaken by a change of the bytes.
        var modified: Int64?
        var handles = 0
        var isLinked = true
    }

    struct Handle: Sendable {
        var inode: Number
        var flags: Int32
        var mayRead: Bool { flags & O_ACCMODE != O_WRONLY }
        var mayWrite: Bool { flags & O_ACCMODE != O_RDONLY }
    }

    static let root: Number = 1
    var inodes: [Number: Inode] = [
        PosixModel.root: Inode(kind: .directory, permissions: 0o755)
    ]
    var handles: [Int: Handle] = [:]
    private var made = PosixModel.root

    /// An empty file system whose inodes have numbers that this one never had, nor will a model that a
    /// step in doubt was played to.
    func successor() -> PosixModel {
        var next = PosixModel()
        next.made = made + 1000
        return next
    }

    // MARK: Paths

    /// The directory that a path's last name is in.
    func parent(of path: String) throws(Errno) -> (Number, String) {
        var parts = path.split(separator: "/").map(String.init)
        guard let name = parts.popLast() else { throw .exists }
        var directory = Self.root
        for part in parts {
            guard let next = inodes[directory]!.entries[part] else { throw .noEntry }
            switch inodes[next]!.kind {
            case .directory: directory = next
            case .symbolicLink: throw .noEntry
            default: throw .notDirectory
            }
        }
        return (directory, name)
    }

    /// What a path names; a link itself.
    func find(_ path: String) throws(Errno) -> Number {
        if path.isEmpty { return Self.root }
        let (directory, name) = try parent(of: path)
        guard let found = inodes[directory]!.entries[name] else { throw .noEntry }
        return found
    }

    /// What a path names, links followed: they dangle.
    func follow(_ path: String) throws(Errno) -> Number {
        let found = try find(path)
        if inodes[found]!.kind == .symbolicLink { throw .noEntry }
        return found
    }

    /// The path of an inode, if it has one.
    func path(of inode: Number) -> String? { paths[inode] }

    /// All paths but the root's, by inode.
    var paths: [Number: String] {
        var paths: [Number: String] = [:]
        var left = [(Self.root, "")]
        while let (directory, path) = left.popLast() {
            for (name, number) in inodes[directory]!.entries {
                let full = path.isEmpty ? name : path + "/" + name
                paths[number] = full
                if inodes[number]!.kind == .directory { left.append((number, full)) }
            }
        }
        return paths
    }

    /// All names, by directory: cheaper to compare than paths.
    var names: [Number: [String: Number]] {
        inodes.filter { $0.value.kind == .directory }.mapValues(\.entries)
    }

    // MARK: Changing the tree

    mutating func add(_ inode: Inode, to directory: Number, _ name: String) -> Number {
        made += 1
        inodes[made] = inode
        inodes[directory]!.entries[name] = made
        return made
    }

    /// Takes a name away; the inode goes with its last handle.
    mutating func remove(_ name: String, from directory: Number) {
        guard let number = inodes[directory]!.entries.removeValue(forKey: name) else { return }
        inodes[number]!.isLinked = false
        drop(number)
    }

    mutating func drop(_ number: Number) {
        if !inodes[number]!.isLinked, inodes[number]!.handles == 0 { inodes[number] = nil }
    }

    // MARK: Steps

    /// Plays one step.
    mutating func play(_ step: FileStep) -> StepOutcome {
        do throws(Errno) { return try perform(step) } catch { return .failed(error) }
    }

    private mutating func perform(_ step: FileStep) throws(Errno) -> StepOutcome {
        switch step {
        case .open(let slot, let path, let flags, let permissions):
            try open(slot, path, flags, permissions)
            return .done
        case .close(let slot):
            try close(slot)
            return .done
        case .closeDuplicate(let slot), .synchronize(let slot):
            _ = try handle(slot)
            return .done
        case .read(let slot, let offset, let size): return .bytes(try read(slot, offset, size))
        case .write(let slot, let offset, let bytes):
            return .count(try write(slot, offset, bytes))
        case .truncateOpen(let slot, let size):
            let handle = try handle(slot)
            guard handle.mayWrite else { throw .invalid }
            resize(handle.inode, to: size)
            return .done
        case .status(let slot): return .attributes(attributes(try handle(slot).inode))
        case .allocate(let slot, let mode, let offset, let length):
            try allocate(slot, mode, offset, length)
            return .done
        case .seek(let slot, let offset, let whence):
            return .offset(try seek(slot, offset, whence))
        case .truncate(let path, let size):
            let number = try follow(path)
            guard inodes[number]!.kind == .file else { throw .isDirectory }
            resize(number, to: size)
            return .done
        case .look(let path): return .attributes(attributes(try find(path)))
        case .names(let path):
            let number = try follow(path)
            guard inodes[number]!.kind == .directory else { throw .notDirectory }
            return .names(Set(inodes[number]!.entries.keys))
        case .readLink(let path):
            let number = try find(path)
            guard inodes[number]!.kind == .symbolicLink else { throw .invalid }
            return .text(inodes[number]!.target)
        case .changePermissions(let path, let permissions):
            inodes[try follow(path)]!.permissions = permissions
            return .done
        case .setTime(let path, let time):
            inodes[try find(path)]!.modified = time
            return .done
        default:
            try changeNames(step)
            return .done
        }
    }

    func attributes(_ number: Number) -> StepAttributes {
        let inode = inodes[number]!
        let size: Int64? =
            switch inode.kind {
            case .directory: nil
            case .symbolicLink: Int64(inode.target.utf8.count)
            default: Int64(inode.bytes.count)
            }
        return StepAttributes(
            kind: inode.kind, size: size,
            permissions: inode.kind == .symbolicLink ? nil : inode.permissions,
            modified: inode.modified)
    }
}
