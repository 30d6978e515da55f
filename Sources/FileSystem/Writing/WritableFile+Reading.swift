// Reading a file that is being changed: staged bytes from the local disk, the others from the
// published version.

import BlockStore
import Buffers
import Operations
import S3

extension WritableFile {
    private enum Source {
        case end
        /// All of it is as in the published version.
        case published(ObjectVersion)
        /// All of it is here; so many bytes.
        case staged(Int)
        /// Some of it is here, some must be brought first.
        case mixed(Range<Int64>)
        /// Some of it left the staging area with an unfinished upload.
        case sent
    }

    /// Reads what every handle of the file must see.
    func read(offset: Int64, size: Int, by handle: OpenFile, reply: Reply<ReadAnswer>) {
        switch locked({ source(of: offset, size, $0) }) {
        case .end: reply.succeed(ReadAnswer(pieces: []))
        case .published(let version):
            let reader = handle.reader(of: version, in: self)
            // The file may be longer than what is kept of the version.
            let end = locked { $0.size }
            reader.read(offset: offset, size: min(size, Int(end - offset)), reply: reply)
        case .staged(let count): readStaged(offset, count, handle, reply)
        case .mixed(let range):
            materialise(range) { [self] failure in
                if let failure { return fail(failure, reply) }
                read(offset: offset, size: size, by: handle, reply: reply)
            }
        case .sent:
            publishEarly { [self] failure in
                if let failure { return fail(failure, reply) }
                read(offset: offset, size: size, by: handle, reply: reply)
            }
        }
    }

    private func fail(_ failure: WriteFailure, _ reply: Reply<ReadAnswer>) {
        context.report(failure, "read", locked { $0.key })
        reply.fail(failure.errno)
    }

    private func source(of offset: Int64, _ size: Int, _ state: FileState) -> Source {
        guard offset < state.size, size > 0 else { return .end }
        let range = offset..<min(offset + Int64(size), state.size)
        let extents = state.extents.extents(in: range)
        if extents.contains(where: { $0.source == .sent }) { return .sent }
        guard extents.contains(where: { $0.source == .base }), let base = state.base else {
            return .staged(range.count)
        }
        return extents.count == 1 ? .published(base) : .mixed(range)
    }

    private func readStaged(
        _ offset: Int64, _ size: Int, _ handle: OpenFile, _ reply: Reply<ReadAnswer>
    ) {
        let count = min(size, BufferPool.largeSize)
        context.read.takeBuffers([count]) { [self] buffers in
            let filled: Int? = locked { state in
                guard case .staged(let count) = source(of: offset, count, state) else { return nil }
                // Looked at under the lock: a punch would leave zeros behind.
                let memory = unsafe UnsafeMutableRawBufferPointer(
                    start: buffers[0].pointer, count: count)
                guard let staged = state.staged else {
                    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0)
                    return count
                }
                do {
                    try unsafe staged.read(at: offset, into: memory)
                    return count
                } catch {
                    return -1
                }
            }
            switch filled {
            case nil: read(offset: offset, size: size, by: handle, reply: reply)
            case .some(..<0): reply.fail(.inputOutput)
            case let count?:
                let piece = ReadAnswer.Piece(buffer: buffers[0], offset: 0, count: count)
                reply.succeed(ReadAnswer(pieces: [piece]))
            }
        }
    }

    /// lseek(2) with SEEK_DATA or SEEK_HOLE; nil behind the end (ENXIO).
    func seek(_ offset: Int64, forHole: Bool) -> Int64? {
        locked { state in
            guard offset >= 0, offset < state.size else { return nil }
            for extent in state.extents.extents(in: offset..<state.size)
            where (extent.source == .hole) == forHole {
                return extent.range.lowerBound
            }
            return forHole ? state.size : nil
        }
    }
}
