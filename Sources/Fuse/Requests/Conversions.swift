// From our words to libfuse's structures.

internal import CFuse
internal import Glibc
internal import Operations

extension FileAttributes {
    /// The same as `stat(2)` has it. Blocks are 512 bytes and never 0 for data (a file with size and
    /// no blocks looks sparse to cp and tar).
    var status: stat {
        var status = stat()
        status.st_ino = UInt(inode)
        // S_IFREG, S_IFDIR, S_IFLNK of inode(7).
        let type: mode_t =
            switch kind {
            case .file: 0o100000
            case .directory: 0o040000
            case .symbolicLink: 0o120000
            case .unknown: 0
            }
        // A symbolic link's own permissions mean nothing and are shown as 0777 (symlink(7)).
        status.st_mode = type | (kind == .symbolicLink ? 0o777 : mode_t(permissions & 0o7777))
        status.st_nlink = nlink_t(linkCount)
        status.st_uid = uid
        status.st_gid = gid
        status.st_size = Int(size)
        status.st_blksize = blksize_t(blockSize)
        status.st_blocks = blkcnt_t(size / 512 + (size % 512 > 0 ? 1 : 0))
        status.st_atim = Self.time(modified)
        status.st_mtim = Self.time(modified)
        status.st_ctim = Self.time(changed)
        return status
    }

    /// Nanoseconds since 1970 as `timespec` has them.
    private static func time(_ time: Int64) -> timespec {
        var (seconds, nanoseconds) = time.quotientAndRemainder(dividingBy: 1_000_000_000)
        if nanoseconds < 0 {
            seconds -= 1
            nanoseconds += 1_000_000_000
        }
        return timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds))
    }
}

extension Duration {
    /// Ten years: "for ever" for the kernel, far from the overflow of its jiffies.
    private static let longest = 315_360_000.0

    /// Seconds for the kernel, from 0 to ten years.
    var kernelSeconds: Double {
        let (seconds, attoseconds) = components
        return min(max(Double(seconds) + Double(attoseconds) * 1e-18, 0), Self.longest)
    }
}

extension EntryAnswer {
    /// As libfuse wants it; without attributes inode 0, a negative entry.
    var parameters: fuse_entry_param {
        var entry = fuse_entry_param()
        if let attributes {
            entry.ino = attributes.inode
            entry.attr = attributes.status
        }
        // Inode numbers are never reused within a mount, so one generation does.
        entry.generation = 1
        entry.entry_timeout = entryTimeout.kernelSeconds
        entry.attr_timeout = attributesTimeout.kernelSeconds
        return entry
    }
}

extension FileSystemStatistics {
    /// As `statvfs(3)` has it.
    var status: statvfs {
        var status = statvfs()
        status.f_bsize = UInt(blockSize)
        status.f_frsize = UInt(blockSize)
        status.f_blocks = UInt(blocks)
        status.f_bfree = UInt(freeBlocks)
        status.f_bavail = UInt(freeBlocks)
        status.f_files = UInt(files)
        status.f_ffree = UInt(freeFiles)
        status.f_favail = UInt(freeFiles)
        status.f_namemax = UInt(nameLimit)
        return status
    }
}

extension AttributeChanges {
    /// What setattr(FUSE) asks for, by `FUSE_SET_ATTR_*`. The change time is the file system's own.
    init(_ status: stat, _ wanted: Int32) {
        func has(_ flag: Int32) -> Bool { wanted & flag != 0 }
        // Nanoseconds reach from 1677 to 2262; times beyond are taken for the nearest within.
        func time(_ time: timespec) -> Int64 {
            let limit: Int64 = time.tv_sec < 0 ? .min : .max
            let (seconds, isFar) = Int64(time.tv_sec).multipliedReportingOverflow(
                by: 1_000_000_000)
            let (sum, isOver) = seconds.addingReportingOverflow(Int64(time.tv_nsec))
            return isFar || isOver ? limit : sum
        }
        self.init(
            permissions: has(FUSE_SET_ATTR_MODE) ? UInt16(status.st_mode & 0o7777) : nil,
            uid: has(FUSE_SET_ATTR_UID) ? status.st_uid : nil,
            gid: has(FUSE_SET_ATTR_GID) ? status.st_gid : nil,
            size: has(FUSE_SET_ATTR_SIZE) ? Int64(status.st_size) : nil)
        if has(FUSE_SET_ATTR_MTIME) { modified = .at(time(status.st_mtim)) }
        if has(FUSE_SET_ATTR_MTIME_NOW) { modified = .now }
        if has(FUSE_SET_ATTR_ATIME) { accessed = .at(time(status.st_atim)) }
        if has(FUSE_SET_ATTR_ATIME_NOW) { accessed = .now }
    }
}

/// The bytes of a C string, without the NUL.
func bytes(of name: UnsafePointer<CChar>?) -> [UInt8] {
    guard let name = unsafe name else { return [] }
    return unsafe [UInt8](
        UnsafeRawBufferPointer(start: UnsafeRawPointer(name), count: strlen(name)))
}
