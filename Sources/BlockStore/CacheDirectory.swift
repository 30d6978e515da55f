// The cache directory and its files, reached by descriptors and never through links.
//
//     DIR/               0700, ours; another user's directory is refused, we would trust its bytes
//       index.sqlite     what is there, how big, when last used (see Index)
//       owners/          one locked file per running process
//       objects/ab/      NAME.data (sparse, the object's bytes at their offsets) and NAME.map, or
//                        NAME.map alone with a small object's bytes in it
//       staged/          room for the files being written, which are not cache and never evicted
//
// Never follows a symbolic link below DIR.

import CPlatform
import Glibc

/// A directory's descriptor, closed with the object.
final class Descriptor: Sendable {
    let fd: Int32

    init(_ fd: Int32) { self.fd = fd }

    deinit { close(fd) }
}

/// An opened cache directory.
final class CacheDirectory: Sendable {
    /// Absolute or as the user gave it.
    let path: String
    let root: Descriptor
    let objects: Descriptor
    let owners: Descriptor
    let staged: Descriptor

    /// Creates what is missing, mode 0700.
    init(path: String) throws(BlockStoreError) {
        self.path = path
        try Self.createParents(of: path)
        root = try Self.folder(AT_FDCWD, path, in: path)
        var status = stat()
        guard unsafe fstat(root.fd, &status) == 0 else {
            throw BlockStoreError("cannot be examined", path, errno: errno)
        }
        guard status.st_uid == geteuid() else {
            throw BlockStoreError(
                "cache directory \(path) belongs to another user (uid \(status.st_uid)): "
                    + "name one of your own with --cache-dir")
        }
        if status.st_mode & 0o077 != 0, fchmod(root.fd, 0o700) != 0 {
            throw BlockStoreError("cannot be made private (chmod 700)", path, errno: errno)
        }
        objects = try Self.folder(root.fd, "objects", in: path)
        owners = try Self.folder(root.fd, "owners", in: path)
        staged = try Self.folder(root.fd, "staged", in: path)
        // A read-only or full file system shows here, not in the middle of a read.
        let probe = ".probe-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        let fd = unsafe pail_openat(
            root.fd, probe, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard fd >= 0 else { throw BlockStoreError("cannot be written", path, errno: -fd) }
        close(fd)
        unsafe unlinkat(root.fd, probe, 0)
    }

    /// `mkdir -p` of everything above `path`.
    private static func createParents(of path: String) throws(BlockStoreError) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: true).dropLast()
        var built = path.hasPrefix("/") ? "" : "."
        for part in parts {
            built += "/\(part)"
            if unsafe mkdir(built, 0o755) != 0, errno != EEXIST {
                let reason = errno
                throw BlockStoreError("cannot create \(built)", path, errno: reason)
            }
        }
    }

    private static func folder(_ parent: Int32, _ name: String, in path: String)
        throws(BlockStoreError) -> Descriptor
    {
        if unsafe mkdirat(parent, name, 0o700) != 0, errno != EEXIST {
            let reason = errno
            throw BlockStoreError("cannot be created", path, errno: reason)
        }
        let fd = unsafe pail_openat(
            parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
        if fd == -ELOOP || fd == -ENOTDIR {
            throw BlockStoreError(
                "cache directory \(path): \(name) is a symbolic link or not a directory: "
                    + "name a real directory with --cache-dir")
        }
        guard fd >= 0 else { throw BlockStoreError("cannot be opened", path, errno: -fd) }
        return Descriptor(fd)
    }

    /// Opens a file below `objects/`; -errno when that fails. With O_CREAT its folder is made.
    func openObject(_ name: String, _ flags: Int32) -> Int32 {
        let all = flags | O_NOFOLLOW | O_CLOEXEC
        let fd = unsafe pail_openat(objects.fd, name, all, 0o600)
        guard fd == -ENOENT, flags & O_CREAT != 0 else { return fd }
        unsafe mkdirat(objects.fd, String(name.prefix(2)), 0o700)
        return unsafe pail_openat(objects.fd, name, all, 0o600)
    }

    /// Removes an object's files, within an edit of the index (see there). They are cut to nothing
    /// once they have no name: whoever has them open then sees them gone, and the disk space is free
    /// at once. What another process writes later it cuts off by itself, see
    /// `ObjectFiles.cutIfRemoved`; before, it is cut off here.
    func removeObject(_ name: ObjectName) {
        for path in [name.dataPath, name.mapPath] {
            let fd = openObject(path, O_WRONLY)
            guard fd >= 0 else { continue }
            unsafe unlinkat(objects.fd, path, 0)
            ftruncate(fd, 0)
            close(fd)
        }
    }

    /// Bytes on disk of an object's two files.
    func bytesOnDisk(_ name: ObjectName) -> Int64 {
        var total: Int64 = 0
        for path in [name.dataPath, name.mapPath] {
            var status = stat()
            if unsafe fstatat(objects.fd, path, &status, AT_SYMLINK_NOFOLLOW) == 0 {
                total += Int64(status.st_blocks) * 512
            }
        }
        return total
    }

    /// Bytes that this user may still write on the file system; nil when it does not say.
    func freeBytes() -> Int64? {
        var status = statvfs()
        guard unsafe fstatvfs(root.fd, &status) == 0 else { return nil }
        return Int64(
            clamping: UInt64(status.f_bavail).multipliedReportingOverflow(
                by: UInt64(status.f_frsize)
            ).partialValue)
    }

    /// True when no object can be there.
    var isEmpty: Bool { names(in: "").isEmpty }

    /// Names in a folder below `objects/`, or of `objects/` itself for "".
    func names(in folder: String) -> [String] {
        let fd = unsafe pail_openat(
            objects.fd, folder.isEmpty ? "." : folder,
            O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
        guard fd >= 0, let stream = unsafe fdopendir(fd) else { return [] }
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
