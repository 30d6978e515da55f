// An object's open files.

import CPlatform
import Glibc
import Synchronization

/// An object's two open files, or the one of a small object; closed with the last use.
final class ObjectFiles: Sendable {
    let data: Int32
    let map: Int32
    /// Where the object's first byte is in `data`.
    let dataOffset: Int64

    /// - Parameter data: nil: the map's file holds the data, too.
    init(map: Int32, data: Int32?) {
        self.map = map
        self.data = data ?? map
        dataOffset = data == nil ? MapFormat.smallDataOffset : 0
    }

    deinit {
        close(map)
        if data != map { close(data) }
        let direct = direct.load(ordering: .relaxed)
        if direct >= 0 { close(direct) }
    }

    /// Objects from this size on are written and read past the page cache, in bytes.
    static let directSize: Int64 = 4 << 20
    /// What O_DIRECT wants of memory, length and offset on nearly every disk; see open(2).
    private static let alignment = 4096

    /// True when a transfer may go past the page cache.
    static func isAligned(_ memory: UnsafeRawPointer, _ count: Int) -> Bool {
        UInt(bitPattern: memory) % UInt(alignment) == 0 && count % alignment == 0
    }

    /// Not tried yet, or not to be had.
    private static let untried: Int32 = -1
    private static let refused: Int32 = -2
    private let direct = Atomic<Int32>(ObjectFiles.untried)

    /// The data's file opened once more for transfers past the page cache; nil where the file system has
    /// no such thing. What the store writes has just been given to the kernel's cache of the mount,
    /// so a second copy in memory serves nobody, and fresh pages are what a buffered write costs most:
    /// 0.1 CPU seconds a GiB against 0.2 to 2.2 when it was measured.
    var directData: Int32? {
        let known = direct.load(ordering: .acquiring)
        if known != Self.untried { return known >= 0 ? known : nil }
        let fd = unsafe open("/proc/self/fd/\(data)", O_RDWR | pail_O_DIRECT | O_CLOEXEC)
        let opened = fd >= 0 ? fd : Self.refused
        let (isFirst, other) = direct.compareExchange(
            expected: Self.untried, desired: opened, ordering: .acquiringAndReleasing)
        if isFirst { return fd >= 0 ? fd : nil }
        if fd >= 0 { close(fd) }
        return other >= 0 ? other : nil
    }

    private var all: [Int32] { data == map ? [map] : [data, map] }

    /// Bytes on disk.
    var bytesOnDisk: Int64 {
        all.reduce(0) { total, fd in
            var status = stat()
            return unsafe fstat(fd, &status) == 0 ? total + Int64(status.st_blocks) * 512 : total
        }
    }

    /// True once another process, or `pail cache clear`, has removed either.
    var isRemoved: Bool {
        all.contains { fd in
            var status = stat()
            return unsafe fstat(fd, &status) != 0 || status.st_nlink == 0
        }
    }

    /// Frees what is on disk of files that somebody has removed. Called after each write and before
    /// its space is given back: who removes a file cuts it to nothing after that, so that a write is
    /// cut off by one or the other.
    ///
    /// - Returns: whether they are removed.
    func cutIfRemoved() -> Bool {
        guard isRemoved else { return false }
        cut()
        return true
    }

    /// Cuts the files to nothing.
    func cut() { for fd in all { ftruncate(fd, 0) } }
}
