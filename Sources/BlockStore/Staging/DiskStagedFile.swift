// A staged file on the local disk: sparse, buffered, so that what was just written is sent from
// memory. The descriptor is closed with the last reference.

import CPlatform
import Glibc

/// A file in a staging directory.
final class DiskStagedFile: StagedFile {
    let name: String
    private let file: Descriptor
    private let directory: Descriptor

    init(name: String, file: Descriptor, directory: Descriptor) {
        self.name = name
        self.file = file
        self.directory = directory
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(StagingError) {
        guard let start = bytes.baseAddress else { return }
        try Self.check(unsafe pail_pwrite_all(file.fd, start, bytes.count, offset))
    }

    func read(at offset: Int64, into memory: UnsafeMutableRawBufferPointer) throws(StagingError) {
        guard memory.count > 0, let start = memory.baseAddress else { return }
        let count = unsafe pail_pread_all(file.fd, start, memory.count, offset)
        guard count >= 0 else { throw .failed(Int32(-count)) }
        if count < memory.count {
            unsafe memset(start + count, 0, memory.count - count)
        }
    }

    func punch(_ range: Range<Int64>) {
        let end = min(range.upperBound, size)
        guard range.lowerBound < end else { return }
        let count = end - range.lowerBound
        if pail_punch_hole(file.fd, range.lowerBound, count) == 0 { return }
        // A file system without holes: the bytes must read as zeros all the same.
        let zeros = [UInt8](repeating: 0, count: 1 << 16)
        var offset = range.lowerBound
        while offset < end {
            let piece = Int(min(Int64(zeros.count), end - offset))
            if unsafe pail_pwrite_all(file.fd, zeros, piece, offset) != 0 { return }
            offset += Int64(piece)
        }
    }

    func truncate(to size: Int64) throws(StagingError) {
        try Self.check(ftruncate(file.fd, off_t(size)) == 0 ? 0 : -errno)
    }

    func synchronize() throws(StagingError) {
        try Self.check(fdatasync(file.fd) == 0 ? 0 : -errno)
    }

    func remove() { unsafe unlinkat(directory.fd, name, 0) }

    private var size: Int64 {
        var status = stat()
        return unsafe fstat(file.fd, &status) == 0 ? Int64(status.st_size) : 0
    }

    static func check(_ result: Int32) throws(StagingError) {
        switch -result {
        case ..<1: return
        case ENOSPC, EDQUOT: throw .full
        case let number: throw .failed(number)
        }
    }
}
