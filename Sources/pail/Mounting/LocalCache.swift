// The block cache: limits by the disk, and mounting without one when it cannot be used.

import BlockStore
import Glibc
import Logging
import Scheduling

/// Opens the block store of a mount.
enum LocalCache {
    /// The store, or nil when there is to be none.
    ///
    /// - Parameter warn: told once when the directory cannot be used: the mount goes on without.
    static func open(
        _ configuration: MountConfiguration, scheduler: any Scheduler, logger: Logger,
        warn: (String) -> Void
    ) -> DiskBlockStore? {
        guard let path = configuration.cacheDirectory else { return nil }
        let disk = diskSize(at: path)
        let limit =
            configuration.cacheSize
            ?? disk.map(MountConfiguration.defaultCacheSize) ?? MountConfiguration.leastCache
        let free =
            disk.map { disk in
                configuration.cacheFree?.bytes(ofDisk: disk)
                    ?? MountConfiguration.defaultCacheFree(ofDisk: disk)
            } ?? 0
        do {
            let store = try DiskBlockStore(
                directory: path, limit: max(limit, MountConfiguration.leastCache), keepFree: free,
                scheduler: scheduler, logger: logger,
                queueLimit: configuration.memoryLimit / 4)
            let (most, least) = (ByteSize.approximate(limit), ByteSize.approximate(free))
            logger.debug("cache \(path): at most \(most), leaves \(least) free")
            return store
        } catch {
            warn("\(error); going on without a cache")
            return nil
        }
    }

    /// Bytes of the file system that holds `path`, or will once it exists.
    static func diskSize(at path: String) -> Int64? {
        var directory = path[...]
        while true {
            var status = statvfs()
            if unsafe statvfs(directory.isEmpty ? "/" : String(directory), &status) == 0 {
                let blocks = UInt64(status.f_blocks)
                return Int64(
                    clamping: blocks.multipliedReportingOverflow(by: UInt64(status.f_frsize))
                        .partialValue)
            }
            guard errno == ENOENT, let slash = directory.lastIndex(of: "/") else { return nil }
            directory = directory[..<slash]
        }
    }
}
