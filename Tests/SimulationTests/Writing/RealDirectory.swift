// Plays the steps of a program to the real kernel, in a temporary directory: the oracle that the
// reference model is held against.

import CPlatform
import Glibc
import Operations

/// A temporary directory that is removed with this object.
final class RealDirectory {
    let path: String
    private var descriptors: [Int: Int32] = [:]

    /// - Parameter parent: a directory on the file system to compare with.
    init?(in parent: String) {
        var template = Array((parent + "/pail-model-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else { return nil }
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        umask(0o022)
    }

    deinit {
        for descriptor in descriptors.values { Glibc.close(descriptor) }
        Self.removeTree(path)
    }

    private static func removeTree(_ path: String) {
        for name in names(path) ?? [] {
            let child = path + "/" + name
            var status = stat()
            guard lstat(child, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR { removeTree(child) } else { unlink(child) }
        }
        rmdir(path)
    }

    private static func names(_ path: String) -> Set<String>? {
        guard let directory = opendir(path) else { return nil }
        defer { closedir(directory) }
        var names: Set<String> = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.insert(name) }
        }
        return names
    }

    private func full(_ relative: String) -> String {
        relative.isEmpty ? path : path + "/" + relative
    }

    /// Plays one step.
    func play(_ step: FileStep) -> StepOutcome {
        switch step {
        case .open(let slot, let path, let flags, let permissions):
            let descriptor = Glibc.open(
                full(path), flags | O_NOFOLLOW | O_CLOEXEC, mode_t(permissions))
            guard descriptor >= 0 else { return failure }
            descriptors[slot] = descriptor
            return .done
        case .close(let slot):
            return done(Glibc.close(descriptors.removeValue(forKey: slot) ?? -1))
        case .closeDuplicate(let slot): return done(Glibc.close(dup(descriptor(slot))))
        case .synchronize(let slot): return done(fsync(descriptor(slot)))
        case .read(let slot, let offset, let size):
            var bytes = [UInt8](repeating: 0, count: size)
            let count = pread(descriptor(slot), &bytes, size, off_t(offset))
            return count < 0 ? failure : .bytes(Array(bytes[..<count]))
        case .write(let slot, let offset, let bytes):
            let count = pwrite(descriptor(slot), bytes, bytes.count, off_t(offset))
            return count < 0 ? failure : .count(count)
        case .truncateOpen(let slot, let size):
            return done(ftruncate(descriptor(slot), off_t(size)))
        case .status(let slot):
            var status = stat()
            return fstat(descriptor(slot), &status) == 0 ? attributes(status) : failure
        case .allocate(let slot, let mode, let offset, let length):
            return done(negative: pail_fallocate(descriptor(slot), mode, offset, length))
        case .seek(let slot, let offset, let whence):
            let found = lseek(descriptor(slot), off_t(offset), whence)
            return found < 0 ? failure : .offset(Int64(found))
        default: return playPath(step)
        }
    }

    private func playPath(_ step: FileStep) -> StepOutcome {
        switch step {
        case .truncate(let path, let size): return done(Glibc.truncate(full(path), off_t(size)))
        case .look(let path):
            var status = stat()
            return lstat(full(path), &status) == 0 ? attributes(status) : failure
        case .names(let path): return Self.names(full(path)).map { .names($0) } ?? failure
        case .makeDirectory(let path, let permissions):
            return done(mkdir(full(path), mode_t(permissions)))
        case .removeDirectory(let path): return done(rmdir(full(path)))
        case .unlink(let path): return done(Glibc.unlink(full(path)))
        case .rename(let from, let to, let noReplace):
            return done(
                negative: pail_renameat2(
                    AT_FDCWD, full(from), AT_FDCWD, full(to),
                    noReplace ? pail_RENAME_NOREPLACE : 0))
        case .link(let target, let path): return done(symlink(target, full(path)))
        case .readLink(let path):
            var text = [UInt8](repeating: 0, count: 4096)
            let count = text.withUnsafeMutableBytes {
                readlink(full(path), $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
            }
            return count < 0 ? failure : .text(String(decoding: text[..<count], as: UTF8.self))
        case .changePermissions(let path, let permissions):
            return done(chmod(full(path), mode_t(permissions)))
        case .setTime(let path, let time):
            let seconds = timespec(
                tv_sec: Int(time / 1_000_000_000), tv_nsec: Int(time % 1_000_000_000))
            return done(utimensat(AT_FDCWD, full(path), [seconds, seconds], AT_SYMLINK_NOFOLLOW))
        default: preconditionFailure("not a step by path: \(step)")
        }
    }

    private func descriptor(_ slot: Int) -> Int32 { descriptors[slot] ?? -1 }
    private var failure: StepOutcome { .failed(Errno(rawValue: errno)) }
    private func done(_ result: Int32) -> StepOutcome { result < 0 ? failure : .done }

    /// For calls that return their errno as a negative number.
    private func done(negative result: Int32) -> StepOutcome {
        result < 0 ? .failed(Errno(rawValue: -result)) : .done
    }

    private func attributes(_ status: stat) -> StepOutcome {
        let kind: FileAttributes.Kind =
            switch status.st_mode & S_IFMT {
            case S_IFDIR: .directory
            case S_IFLNK: .symbolicLink
            default: .file
            }
        return .attributes(
            StepAttributes(
                kind: kind, size: kind == .directory ? nil : Int64(status.st_size),
                permissions: UInt16(status.st_mode & 0o7777),
                modified: Int64(status.st_mtim.tv_sec) * 1_000_000_000
                    + Int64(status.st_mtim.tv_nsec)))
    }
}
