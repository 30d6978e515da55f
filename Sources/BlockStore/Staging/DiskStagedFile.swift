// A sparse file of the staging area, with plain buffered input and output: what was written is read
// again soon, for the upload.
//
// Has no lock; the kernel orders what it must.

import CPlatform
import Glibc

/// An open staged file; its descriptor closes with the object.
final class DiskStagedFile: StagedFile {
    let name: String
    private let file: Descriptor
    private let folder: Descriptor

    init(name: String, file: Descriptor, in folder: Descriptor) {
        self.name = name
        self.file = file
        self.folder = folder
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(StagingError) {
        guard let start = bytes.baseAddress, unsafe !bytes.isEmpty else { return }
        try Self.check(unsafe pail_pwrite_all(file.fd, start, bytes.count, offset))
    }

    func read(at offset: Int64, into memory: UnsafeMutableRawBufferPointer) throws(StagingError) {
        guard let start = memory.baseAddress, unsafe !memory.isEmpty else { return }
        let count = unsafe pail_pread_all(file.fd, start, memory.count, offset)
        guard count >= 0 else { throw StagingError(errno: Int32(-count)) }
        if count < memory.count {
            unsafe memset(start + count, 0, memory.count - count)
        }
    }

    func punch(_ range: Range<Int64>) {
        guard !range.isEmpty, pail_punch_hole(file.fd, range.lowerBound, Int64(range.count)) != 0
        else { return }
        // A file system without holes: the space stays taken, but zeros are promised.
        var status = stat()
        guard unsafe fstat(file.fd, &status) == 0 else { return }
        let zeros = [UInt8](repeating: 0, count: 1 << 16)
        let end = min(range.upperBound, Int64(status.st_size))
        var offset = range.lowerBound
        while offset < end {
            let count = Int(min(end - offset, Int64(zeros.count)))
            let result = unsafe zeros.withUnsafeBytes {
                unsafe pail_pwrite_all(file.fd, $0.baseAddress, count, offset)
            }
            guard result == 0 else { return }
            offset += Int64(count)
        }
    }

    func truncate(to size: Int64) throws(StagingError) {
        while ftruncate(file.fd, Int(size)) != 0 {
            let reason = errno
            guard reason == EINTR else { throw StagingError(errno: reason) }
        }
    }

    func synchronize() throws(StagingError) {
        // Its name is as needful as its bytes.
        for fd in [file.fd, folder.fd] where fsync(fd) != 0 { throw StagingError(errno: errno) }
    }

    func remove() { unsafe unlinkat(folder.fd, name, 0) }

    private static func check(_ result: Int32) throws(StagingError) {
        guard result == 0 else { throw StagingError(errno: -result) }
    }
}

extension StagingError {
    init(errno: Int32) {
        self = errno == ENOSPC || errno == EDQUOT ? .full : .failed(errno)
    }
}
