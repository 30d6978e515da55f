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
        while true {
            let id = "\(getpid())-\(UInt32.random(in: 0 ... .max))"
            let fd = unsafe pail_openat(
                directory.owners.fd, id, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
            guard fd >= 0 else {
                throw BlockStoreError("cannot be written", directory.path, errno: -fd)
            }
            let file = Descriptor(fd)
            // Between open and lock another process may have taken us for dead.
            var status = stat()
            guard flock(fd, LOCK_EX | LOCK_NB) == 0, unsafe fstat(fd, &status) == 0,
                status.st_nlink > 0
            else { continue }
            self.id = id
            self.file = file
            return
        }
    }

    /// Removes the file; the lock ends with the object.
    func leave() { unsafe unlinkat(directory.owners.fd, id, 0) }

    /// A dead owner in our hands: no other process finds it dead as long as this lives.
    struct Dead {
        let id: String
        /// Nil when its file is gone.
        let lock: Descriptor?
    }

    /// Takes owner `other` in hand if its process has ended.
    static func dead(_ other: String, in directory: CacheDirectory) -> Dead? {
        guard !other.contains("/"), other != "..", other != "." else {
            return Dead(id: other, lock: nil)
        }
        let fd = unsafe pail_openat(
            directory.owners.fd, other, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0)
        guard fd >= 0 else { return fd == -ENOENT ? Dead(id: other, lock: nil) : nil }
        let file = Descriptor(fd)
        return flock(fd, LOCK_EX | LOCK_NB) == 0 ? Dead(id: other, lock: file) : nil
    }

    static func removeFile(_ other: String, in directory: CacheDirectory) {
        guard !other.contains("/") else { return }
        unsafe unlinkat(directory.owners.fd, other, 0)
    }
}
