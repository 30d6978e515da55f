// The directory of one process below staged/, and how it passes from the dead to the living.
//
//     staged/ID/owner            locked while its process lives; whose bytes these are
//     staged/ID/journal.sqlite   what the files are
//     staged/ID/f-RANDOM         staged files
//     staged/ID/taken-OTHER      owner file of a directory that was merged into this one
//     staged/ID.damaged/         set aside, never touched again
//
// A directory without an owner file holds nothing of worth: it is the first thing made in it and it
// leaves only after everything was linked elsewhere.
//
// Has no lock in memory: it is used while the staging area is opened.

import CPlatform
import Glibc

/// A staging directory in our hands: no other process adopts it as long as this lives.
final class StagingFolder: Sendable {
    let id: String
    let folder: Descriptor
    private let lock: Descriptor

    private init(id: String, folder: Descriptor, lock: Descriptor) {
        self.id = id
        self.folder = folder
        self.lock = lock
    }

    static let filePrefix = "f-"

    static var randomName: String {
        var name = ""
        for _ in 0..<4 {
            let word = String(UInt32.random(in: 0 ... .max), radix: 16)
            name += String(repeating: "0", count: 8 - word.utf8.count) + word
        }
        return name
    }

    /// A new one of ours.
    static func make(source: [UInt8], in staged: Descriptor) throws(StagingError) -> StagingFolder {
        while true {
            let id = randomName
            guard unsafe mkdirat(staged.fd, id, 0o700) == 0 else {
                throw StagingError(errno: errno)
            }
            guard let folder = open(id, in: staged) else { continue }
            let fd = unsafe pail_openat(
                folder.fd, "owner", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
            // Somebody may have taken the empty directory for an old one.
            if fd == -ENOENT { continue }
            guard fd >= 0 else { throw StagingError(errno: -fd) }
            let lock = Descriptor(fd)
            guard flock(fd, LOCK_EX | LOCK_NB) == 0, isInPlace(lock, folder) else { continue }
            let result = unsafe source.withUnsafeBytes {
                unsafe pail_pwrite_all(fd, $0.baseAddress, $0.count, 0)
            }
            guard result == 0 else { throw StagingError(errno: -result) }
            for fd in [fd, folder.fd, staged.fd] where fsync(fd) != 0 {
                throw StagingError(errno: errno)
            }
            return StagingFolder(id: id, folder: folder, lock: lock)
        }
    }

    /// Takes directory `id` in hand when it is of that source and its process has ended. One that
    /// holds nothing of worth is removed.
    static func adopt(_ id: String, source: [UInt8], in staged: Descriptor) -> StagingFolder? {
        guard let folder = open(id, in: staged) else { return nil }
        let fd = unsafe pail_openat(folder.fd, "owner", O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0)
        if fd == -ENOENT {
            removeAll(folder, id, staged)
            return nil
        }
        guard fd >= 0 else { return nil }
        let lock = Descriptor(fd)
        var memory = [UInt8](repeating: 0, count: source.count + 1)
        let count = unsafe memory.withUnsafeMutableBytes {
            unsafe pail_pread_all(fd, $0.baseAddress, $0.count, 0)
        }
        guard count == 0 || (count == source.count && memory.starts(with: source)),
            flock(fd, LOCK_EX | LOCK_NB) == 0, isInPlace(lock, folder)
        else { return nil }
        if count == 0 {
            // Its process ended (or is just about to begin anew) before it wrote anything.
            var status = stat()
            guard unsafe fstat(fd, &status) == 0, status.st_size == 0 else { return nil }
            unsafe unlinkat(folder.fd, "owner", 0)
            removeAll(folder, id, staged)
            return nil
        }
        return StagingFolder(id: id, folder: folder, lock: lock)
    }

    /// Names of everything in it.
    var names: [String] { Self.names(folder) }

    /// Removes it and all in it, the owner first: what follows is then nothing of worth.
    func removeAll(in staged: Descriptor) {
        unsafe unlinkat(folder.fd, "owner", 0)
        Self.removeAll(folder, id, staged)
    }

    private static func removeAll(_ folder: Descriptor, _ id: String, _ staged: Descriptor) {
        for name in names(folder) { unsafe unlinkat(folder.fd, name, 0) }
        unsafe unlinkat(staged.fd, id, AT_REMOVEDIR)
    }

    private static func open(_ id: String, in staged: Descriptor) -> Descriptor? {
        let fd = unsafe pail_openat(
            staged.fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
        return fd >= 0 ? Descriptor(fd) : nil
    }

    /// False when the owner file was removed or taken before we locked it.
    private static func isInPlace(_ lock: Descriptor, _ folder: Descriptor) -> Bool {
        var (mine, there) = (stat(), stat())
        return unsafe fstat(lock.fd, &mine) == 0
            && fstatat(folder.fd, "owner", &there, AT_SYMLINK_NOFOLLOW) == 0
            && mine.st_ino == there.st_ino
    }

    static func names(_ folder: Descriptor) -> [String] {
        let fd = unsafe pail_openat(folder.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard fd >= 0 else { return [] }
        guard let stream = unsafe fdopendir(fd) else {
            close(fd)
            return []
        }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { field in
                unsafe field.withMemoryRebound(to: CChar.self, capacity: 256) { text in
                    unsafe String(cString: text)
                }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }
}
