// One step of a program that works on files, and what came of it: the words in which the reference
// model, a real directory and the file system under test are compared.

import Glibc
import Operations

/// A system call, by path or by descriptor. A slot names a descriptor within a sequence.
enum FileStep: Hashable, Sendable {
    /// open(2), with O_NOFOLLOW added.
    case open(slot: Int, path: String, flags: Int32, permissions: UInt16)
    case close(slot: Int)
    /// close(2) of a dup(2) of the descriptor.
    case closeDuplicate(slot: Int)
    case synchronize(slot: Int)
    /// pread(2).
    case read(slot: Int, offset: Int64, size: Int)
    /// pwrite(2): with O_APPEND at the end, whatever the offset.
    case write(slot: Int, offset: Int64, bytes: [UInt8])
    case truncateOpen(slot: Int, size: Int64)
    case status(slot: Int)
    /// fallocate(2).
    case allocate(slot: Int, mode: Int32, offset: Int64, length: Int64)
    /// lseek(2) with SEEK_DATA (3) or SEEK_HOLE (4).
    case seek(slot: Int, offset: Int64, whence: Int32)
    /// truncate(2).
    case truncate(path: String, size: Int64)
    /// lstat(2).
    case look(path: String)
    /// The names of a directory.
    case names(path: String)
    case makeDirectory(path: String, permissions: UInt16)
    case removeDirectory(path: String)
    case unlink(path: String)
    /// renameat2(2).
    case rename(from: String, to: String, noReplace: Bool)
    case link(target: String, path: String)
    case readLink(path: String)
    case changePermissions(path: String, UInt16)
    /// utimensat(2) with AT_SYMLINK_NOFOLLOW; nanoseconds since 1970.
    case setTime(path: String, Int64)
}

/// What a step answered.
enum StepOutcome: Hashable, Sendable {
    case done
    case failed(Errno)
    case bytes([UInt8])
    case count(Int)
    case offset(Int64)
    case text(String)
    case names(Set<String>)
    case attributes(StepAttributes)

    var errno: Errno? { if case .failed(let errno) = self { errno } else { nil } }
}

/// What stat(2) is compared by.
struct StepAttributes: Hashable, Sendable {
    var kind: FileAttributes.Kind
    /// Bytes; nil for directories, whose size says nothing.
    var size: Int64?
    /// Nil for symbolic links.
    var permissions: UInt16?
    /// Nil when nobody has set it since the last change.
    var modified: Int64?
}

extension StepOutcome {
    /// True when this answer of a file system is one that the model's allows.
    func fits(_ model: StepOutcome) -> Bool {
        guard case .attributes(let mine) = self, case .attributes(let theirs) = model else {
            return self == model
        }
        return mine.kind == theirs.kind && (theirs.size == nil || mine.size == theirs.size)
            && (theirs.permissions == nil || mine.permissions == theirs.permissions)
            && (theirs.modified == nil || mine.modified == theirs.modified)
    }
}

extension FileStep: CustomStringConvertible {
    var description: String {
        switch self {
        case .open(let slot, let path, let flags, let permissions):
            "\(slot) = open \(path) \(Self.words(flags)) 0\(String(permissions, radix: 8))"
        case .close(let slot): "close \(slot)"
        case .closeDuplicate(let slot): "close a duplicate of \(slot)"
        case .synchronize(let slot): "fsync \(slot)"
        case .read(let slot, let offset, let size): "read \(slot) at \(offset) size \(size)"
        case .write(let slot, let offset, let bytes):
            "write \(slot) at \(offset) size \(bytes.count)"
        case .truncateOpen(let slot, let size): "ftruncate \(slot) to \(size)"
        case .status(let slot): "fstat \(slot)"
        case .allocate(let slot, let mode, let offset, let length):
            "fallocate \(slot) mode \(mode) \(offset)+\(length)"
        case .seek(let slot, let offset, let whence):
            "lseek \(slot) \(offset) \(whence == 3 ? "SEEK_DATA" : "SEEK_HOLE")"
        case .truncate(let path, let size): "truncate \(path) to \(size)"
        case .look(let path): "lstat \(path)"
        case .names(let path): "ls \(path)"
        case .makeDirectory(let path, let permissions):
            "mkdir \(path) 0\(String(permissions, radix: 8))"
        case .removeDirectory(let path): "rmdir \(path)"
        case .unlink(let path): "unlink \(path)"
        case .rename(let from, let to, let noReplace):
            "rename \(from) to \(to)\(noReplace ? " RENAME_NOREPLACE" : "")"
        case .link(let target, let path): "symlink \(target) at \(path)"
        case .readLink(let path): "readlink \(path)"
        case .changePermissions(let path, let permissions):
            "chmod \(path) 0\(String(permissions, radix: 8))"
        case .setTime(let path, let time): "utimens \(path) \(time)"
        }
    }

    private static func words(_ flags: Int32) -> String {
        var words = [["O_RDONLY", "O_WRONLY", "O_RDWR"][Int(flags & O_ACCMODE)]]
        for (flag, word) in [
            (O_CREAT, "O_CREAT"), (O_EXCL, "O_EXCL"), (O_TRUNC, "O_TRUNC"), (O_APPEND, "O_APPEND"),
        ] where flags & flag != 0 { words.append(word) }
        return words.joined(separator: "|")
    }
}

extension StepOutcome: CustomStringConvertible {
    var description: String {
        switch self {
        case .done: "done"
        case .failed(let errno): "failed: \(errno)"
        case .bytes(let bytes): "\(bytes.count) bytes (\(bytes.hashValue & 0xFFFF))"
        case .count(let count): "\(count)"
        case .offset(let offset): "at \(offset)"
        case .text(let text): "'\(text)'"
        case .names(let names): "\(names.sorted())"
        case .attributes(let attributes):
            "\(attributes.kind) size \(attributes.size ?? -1) "
                + "0\(String(attributes.permissions ?? 0, radix: 8)) "
                + "\(attributes.modified.map(String.init) ?? "any time")"
        }
    }
}
