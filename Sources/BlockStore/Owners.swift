// Which processes have the directory open: each keeps a file below owners/ locked while it lives.
//
// The lock goes with the process, however it ends. Whoever can lock a file of the index's list has
// found a dead owner: its claim is void, and what it wrote last may not be in the index.

import CPlatform
import Glibc

/// This process's place among the directory's owners.
final class Owner: Sendable {
    let id: String
    private let directory: CacheDirectory
    private let file: Descriptor

    init(directory: CacheDirectory) throws(BlockStoreError) {
        self.directory = directory
        id = "\(getpid())-\(UInt32.random(in: 0 ... .max))"
        let fd = unsafe pail_openat(
            directory.owners.fd, id, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard fd >= 0 else {
            throw BlockStoreError("cannot be written", directory.path, errno: -fd)
        }
        file = Descriptor(fd)
        flock(fd, LOCK_EX | LOCK_NB)
    }

    /// Removes the file; the lock ends with the object.
    func leave() { unsafe unlinkat(directory.owners.fd, id, 0) }

    /// True when the process of owner `other` has ended.
    static func isDead(_ other: String, in directory: CacheDirectory) -> Bool {
        guard !other.contains("/"), other != "..", other != "." else { return true }
        let fd = unsafe pail_openat(
            directory.owners.fd, other, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0)
        guard fd >= 0 else { return fd == -ENOENT }
        defer { close(fd) }
        return flock(fd, LOCK_EX | LOCK_NB) == 0
    }

    static func removeFile(_ other: String, in directory: CacheDirectory) {
        guard !other.contains("/") else { return }
        unsafe unlinkat(directory.owners.fd, other, 0)
    }
}
