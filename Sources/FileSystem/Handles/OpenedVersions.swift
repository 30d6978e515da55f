// Which version of a file the kernel may have pages of: decides FOPEN_KEEP_CACHE.
//
// Locks: one leaf mutex.

import Operations
import S3
import Synchronization

/// The version seen at the last open of each inode, as a hash of its ETag.
final class OpenedVersions: Sendable {
    private let hashes = Mutex<[InodeNumber: UInt64]>([:])

    /// Takes note of an open.
    ///
    /// - Returns: true when the last open saw the same version: the kernel's pages are still right.
    func note(_ inode: InodeNumber, _ version: ObjectVersion) -> Bool {
        let hash = Self.hash(version)
        return hashes.withLock { hashes in
            let last = hashes.updateValue(hash, forKey: inode)
            return last == hash
        }
    }

    /// The kernel has forgotten the inode, pages and all.
    func forget(_ inode: InodeNumber) {
        hashes.withLock { _ = $0.removeValue(forKey: inode) }
    }

    /// FNV-1a, 64 bits: the same in every run, and two words instead of a string for each file.
    private static func hash(_ version: ObjectVersion) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in version.etag.text.utf8 {
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
        }
        return (hash ^ UInt64(bitPattern: version.size)) &* 0x100_0000_01b3
    }
}
