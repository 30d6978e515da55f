// Bringing bytes of the published version to the staged file, where a publish needs them whole.

import BlockStore
import Buffers
import Operations
import S3
import Scheduling

extension WritableFile {
    /// Bytes brought at once.
    private static let piece: Int64 = 1 << 20

    /// Brings what a range lacks of the published version. What is written meanwhile stays.
    func materialise(
        _ range: Range<Int64>, then: @escaping @Sendable (WriteFailure?) -> Void
    ) {
        let wanted: (ObjectVersion, [Range<Int64>])? = locked { state in
            guard let base = state.base else { return nil }
            let missing = state.extents.extents(in: range).filter { $0.source == .base }
            return missing.isEmpty ? nil : (base, missing.map(\.range))
        }
        guard let (base, missing) = wanted else { return then(nil) }
        let content = context.read.contents.open(base)
        let failure = FailureBox()
        let reader = FileHandle(
            inode: inode, content: content, context: context.read,
            onFailure: { failure.set($0) })
        let pieces = missing.flatMap { Self.pieces(of: $0) }
        bring(pieces[...], reader, failure) { result in
            reader.close()
            then(result)
        }
    }

    private static func pieces(of range: Range<Int64>) -> [Range<Int64>] {
        stride(from: range.lowerBound, to: range.upperBound, by: Int(piece)).map {
            $0..<min($0 + piece, range.upperBound)
        }
    }

    private func bring(
        _ pieces: ArraySlice<Range<Int64>>, _ reader: FileHandle, _ failure: FailureBox,
        then: @escaping @Sendable (WriteFailure?) -> Void
    ) {
        guard let piece = pieces.first else { return then(nil) }
        guard context.staging.claim(Int64(piece.count)) else {
            return makeRoom(for: Int64(piece.count)) { [self] problem in
                if let problem { then(problem) } else { bring(pieces, reader, failure, then: then) }
            }
        }
        let reply = Reply<ReadAnswer> { [self] result in
            let outcome = result.mapError { errno in
                failure.value.map { WriteFailure($0) }
                    ?? WriteFailure(errno: errno, reason: "reading the older version failed")
            }.flatMap { stage($0, at: piece) }
            if case .failure(let problem) = outcome {
                context.staging.release(Int64(piece.count))
                return then(problem)
            }
            // Never deeper on this stack: a piece may be at hand at once.
            context.scheduler.run { [self] in
                bring(pieces.dropFirst(), reader, failure, then: then)
            }
        }
        reader.read(offset: piece.lowerBound, size: piece.count, reply: reply)
    }

    private func stage(
        _ answer: ReadAnswer, at range: Range<Int64>
    ) -> Result<Void, WriteFailure> {
        guard answer.count == range.count else {
            return .failure(
                WriteFailure(errno: .stale, reason: "the older version is shorter than it was"))
        }
        return locked { state in
            Result { () throws(WriteFailure) in
                do throws(StagingError) { try put(answer, at: range, &state) } catch {
                    throw WriteFailure(error)
                }
            }
        }
    }

    /// Stages the bytes of a range that are still those of the published version. Under the lock.
    private func put(
        _ answer: ReadAnswer, at range: Range<Int64>, _ state: inout FileState
    ) throws(StagingError) {
        let staged = stagedFile(&state)
        var kept: Int64 = 0
        var start = range.lowerBound
        for piece in answer.pieces {
            let end = start + Int64(piece.count)
            for extent in state.extents.extents(in: start..<end) where extent.source == .base {
                let skipped = Int(extent.range.lowerBound - start)
                let bytes = unsafe UnsafeRawBufferPointer(
                    start: piece.buffer.pointer + piece.offset + skipped,
                    count: extent.range.count)
                try unsafe staged.write(bytes, at: extent.range.lowerBound)
                state.extents.set(extent.range, .clean)
                state.claimed += Int64(extent.range.count)
                kept += Int64(extent.range.count)
            }
            start = end
        }
        context.staging.release(Int64(range.count) - kept)
    }
}

/// Keeps the store's reason of a failed read for whoever made the read.
final class FailureBox: Sendable {
    private let error = SendableBox<StoreError?>(nil)

    var value: StoreError? { error.value }

    func set(_ error: StoreError) { self.error.value = error }
}
