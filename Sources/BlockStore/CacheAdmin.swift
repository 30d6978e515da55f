// What `pail cache show` and `pail cache clear` do. Safe while mounts use the directory.

import Glibc
import Logging

/// What a cache directory holds.
public struct CacheSummary: Sendable, Equatable {
    /// One endpoint and bucket's share.
    public struct Share: Sendable, Equatable {
        /// As `ObjectIdentity.store`.
        public var store: String
        public var objects: Int
        /// Bytes on disk.
        public var bytes: Int64
    }

    public var objects: Int
    /// Bytes on disk.
    public var bytes: Int64
    /// `--cache-size` of the mount that opened it last; nil when none did.
    public var limit: Int64?
    /// Since 1970-01-01T00:00:00Z; nil when the cache is empty.
    public var oldestUse: Duration?
    public var newestUse: Duration?
    /// Largest first.
    public var shares: [Share]
    /// Mounts that have the directory open.
    public var mounts: Int
}

extension DiskBlockStore {
    /// What the directory holds, by its index: a running mount's last second may be missing. A
    /// directory that does not exist holds nothing and is not made.
    public static func summary(directory path: String) throws(BlockStoreError) -> CacheSummary {
        guard let directory = try existing(path) else {
            return CacheSummary(objects: 0, bytes: 0, shares: [], mounts: 0)
        }
        do {
            let (index, isFresh) = try IndexRepair.open(directory, quiet)
            if isFresh { _ = try IndexRepair.recount(index, directory, now: 0) }
            let mounts = try index.ownerNames().count { Owner.dead($0, in: directory) == nil }
            var summary = try index.summary()
            summary.mounts = mounts
            return summary
        } catch let error as BlockStoreError {
            throw error
        } catch {
            throw BlockStoreError("cache directory \(path): index.sqlite: \(error)")
        }
    }

    /// Removes every cached object. Mounts that use the directory go on and fill it again.
    ///
    /// - Returns: what was removed: objects, and bytes on disk.
    @discardableResult
    public static func clear(directory path: String) throws(BlockStoreError)
        -> (objects: Int, bytes: Int64)
    {
        guard let directory = try existing(path) else { return (0, 0) }
        do {
            let (index, _) = try IndexRepair.open(directory, quiet)
            var objects = 0
            var bytes: Int64 = 0
            for folder in directory.names(in: "") where folder.utf8.count == 2 {
                var names: Set<ObjectName> = []
                for file in directory.names(in: folder) {
                    guard let stem = file.split(separator: ".").first,
                        let name = ObjectName(hex: stem)
                    else { continue }
                    names.insert(name)
                }
                try index.edit { editor in
                    for name in names {
                        bytes += directory.bytesOnDisk(name)
                        directory.removeObject(name)
                        try editor.remove(name)
                        objects += 1
                    }
                }
            }
            // Rows whose files were gone already.
            _ = try IndexRepair.recount(index, directory, now: 0)
            return (objects, bytes)
        } catch let error as BlockStoreError {
            throw error
        } catch {
            throw BlockStoreError("cache directory \(path): index.sqlite: \(error)")
        }
    }

    private static var quiet: Logger {
        Logger(label: "pail.cache") { _ in SwiftLogNoOpLogHandler() }
    }

    private static func existing(_ path: String) throws(BlockStoreError) -> CacheDirectory? {
        var status = stat()
        if unsafe lstat(path, &status) != 0, errno == ENOENT { return nil }
        return try CacheDirectory(path: path)
    }
}
