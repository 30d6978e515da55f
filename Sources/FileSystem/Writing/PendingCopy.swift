// Copies a file that is not in the bucket yet to the local disk: staged bytes from the staging area, the
// others from the published version it builds on. Never overwrites, never leaves half a file, never
// leaves the directory it was given.
//
// All bytes are frozen meanwhile, so that the copy is of one moment; an upload under way goes on.

import BlockStore
import Buffers
import CPlatform
import Glibc
import Operations
import S3
import Scheduling

/// One copy.
final class PendingCopy: Sendable {
    private static let piece: Int64 = 1 << 20

    private let file: WritableFile
    private let folder: Int32
    private let name: [UInt8]
    private let target: Int32

    /// Makes the local file, and the directories above it.
    ///
    /// - Parameters:
    ///   - directory: exists.
    ///   - names: where below it.
    init(
        of file: WritableFile, to directory: String, names: [[UInt8]]
    ) throws(WriteFailure) {
        let path = Array(names.joined(separator: [0x2F]))
        let shown = "\(directory)/\(String(decoding: path, as: UTF8.self))"
        func failed(_ number: Int32) -> WriteFailure {
            let errno = Errno(rawValue: number)
            let advice = errno == .exists ? "; it is never overwritten" : ""
            return WriteFailure(errno: errno, reason: "cannot make \(shown): \(errno)\(advice)")
        }
        let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC
        var folder = unsafe pail_openat(AT_FDCWD, directory, flags, 0)
        guard folder >= 0, let last = names.last else { throw failed(-folder) }
        for name in names.dropLast() {
            let below = Self.open(name, in: folder, flags | O_NOFOLLOW, makes: true)
            close(folder)
            guard below >= 0 else { throw failed(-below) }
            folder = below
        }
        let target = Self.open(
            last, in: folder, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, makes: false)
        guard target >= 0 else {
            close(folder)
            throw failed(-target)
        }
        self.file = file
        self.folder = folder
        self.target = target
        name = last
    }

    deinit {
        close(target)
        close(folder)
    }

    private static func open(
        _ name: [UInt8], in folder: Int32, _ flags: Int32, makes: Bool
    ) -> Int32 {
        let text = name.map { CChar(bitPattern: $0) } + [0]
        if makes, unsafe mkdirat(folder, text, 0o777) != 0, errno != EEXIST { return -errno }
        return unsafe pail_openat(folder, text, flags, 0o600)
    }

    /// Copies; takes the local file away again if it fails.
    func run(then: @escaping @Sendable (WriteFailure?) -> Void) {
        file.locked { $0.frozen.append(FileState.everything) }
        copy { [self] failure in
            file.thaw(FileState.everything)
            let problem = failure ?? finish()
            if problem != nil {
                unsafe unlinkat(folder, name.map { CChar(bitPattern: $0) } + [0], 0)
            }
            then(problem)
        }
    }

    private func copy(then: @escaping @Sendable (WriteFailure?) -> Void) {
        let extents = file.locked { $0.extents.extents(in: 0..<$0.size) }
        if extents.contains(where: { $0.source == .sent }) {
            return then(
                WriteFailure(
                    errno: .busy,
                    reason: "a part of it is in an unfinished upload; finish that with --retry"))
        }
        // Cut where the source changes, so that no piece is first completed in the staging area.
        let pieces = extents.filter { $0.source != .hole }.flatMap { extent in
            stride(
                from: extent.range.lowerBound, to: extent.range.upperBound, by: Int(Self.piece)
            ).map { $0..<min($0 + Self.piece, extent.range.upperBound) }
        }
        let handle = OpenFile(inode: file.inode, flags: O_RDONLY, reader: nil)
        copy(pieces[...], handle) { problem in
            handle.close()
            then(problem)
        }
    }

    private func copy(
        _ pieces: ArraySlice<Range<Int64>>, _ handle: OpenFile,
        then: @escaping @Sendable (WriteFailure?) -> Void
    ) {
        guard let piece = pieces.first else { return then(nil) }
        let reply = Reply<ReadAnswer> { [self] result in
            switch result {
            case .failure(let errno):
                then(WriteFailure(errno: errno, reason: "cannot read it: \(errno)"))
            case .success(let answer):
                // Never deeper on this stack, and writing may wait for the disk.
                file.context.scheduler.run { [self] in
                    if let problem = write(answer, at: piece) { return then(problem) }
                    copy(pieces.dropFirst(), handle, then: then)
                }
            }
        }
        file.read(offset: piece.lowerBound, size: piece.count, by: handle, reply: reply)
    }

    private func write(_ answer: ReadAnswer, at range: Range<Int64>) -> WriteFailure? {
        guard answer.count == range.count else {
            return WriteFailure(errno: .stale, reason: "it has become shorter meanwhile")
        }
        var offset = range.lowerBound
        for piece in answer.pieces {
            let result = unsafe pail_pwrite_all(
                target, piece.buffer.pointer + piece.offset, piece.count, offset)
            if let problem = failure(result) { return problem }
            offset += Int64(piece.count)
        }
        return nil
    }

    /// Size, time and permissions; on stable storage, as the original may be discarded next.
    private func finish() -> WriteFailure? {
        let record = file.locked { $0.shown }
        let (seconds, rest) = record.modified.quotientAndRemainder(dividingBy: 1_000_000_000)
        let time = timespec(tv_sec: Int(seconds), tv_nsec: Int(max(rest, 0)))
        guard ftruncate(target, off_t(record.size)) == 0,
            unsafe futimens(target, [time, time]) == 0,
            fchmod(target, mode_t(record.permissions & 0o777)) == 0, fsync(target) == 0
        else { return failure(-errno) }
        return nil
    }

    private func failure(_ result: Int32) -> WriteFailure? {
        guard result < 0 else { return nil }
        let errno = Errno(rawValue: -result)
        return WriteFailure(errno: errno, reason: "cannot write the copy: \(errno)")
    }
}
