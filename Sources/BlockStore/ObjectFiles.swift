// An object's open files.

import Glibc

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
}
