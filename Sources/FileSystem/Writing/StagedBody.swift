// The bytes of one upload, read from the staged file while they are sent.

import BlockStore
import S3

/// A range of a staged file as the body of a PutObject or an UploadPart. Nobody writes to the range
/// while the call runs: the file has it frozen.
final class StagedBody: UploadBody {
    let size: Int64
    private let file: any StagedFile
    private let start: Int64

    init(_ file: any StagedFile, _ range: Range<Int64>) {
        self.file = file
        start = range.lowerBound
        size = Int64(range.count)
    }

    func read(at offset: Int64, into memory: UnsafeMutableRawBufferPointer) -> Bool {
        do throws(StagingError) {
            try unsafe file.read(at: start + offset, into: memory)
            return true
        } catch {
            return false
        }
    }
}
