// write(2), truncate(2) and fallocate(2) on a file that is being changed.

import BlockStore
import CPlatform
import Glibc
import Operations
import S3

extension WritableFile {
    private enum Outcome {
        case done
        case failed(WriteFailure)
        /// Waits for frozen bytes; was parked.
        case parked
        /// The staging area is full.
        case noRoom
        /// Bytes that left the staging area with an unfinished upload are to change.
        case needsPublish
    }

    /// Writes; the answer may wait for bytes that are being sent, or for room.
    ///
    /// - Parameter bytes: valid only during the call.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64, reply: Reply<Int>) {
        guard offset >= 0, Int64(bytes.count) <= Int64.max - offset,
            offset + Int64(bytes.count) <= context.configuration.layout.largestFile
        else {
            reply.fail(.fileTooLarge)
            return
        }
        let count = bytes.count
        guard count > 0 else {
            reply.succeed(0)
            return
        }
        let range = offset..<offset + Int64(count)
        let again: @Sendable ([UInt8]) -> Void = { [self] copy in
            unsafe copy.withUnsafeBytes { unsafe write($0, at: offset, reply: reply) }
        }
        let outcome = locked { state in
            unsafe store(
                bytes, range, &state,
                park: {
                    let copy = unsafe Array(bytes)
                    return { again(copy) }
                })
        }
        switch outcome {
        case .done:
            reply.succeed(count)
            stream()
        case .failed(let failure):
            context.report(failure, "write", locked { $0.key })
            reply.fail(failure.errno)
        case .parked: break
        case .noRoom:
            let copy = unsafe Array(bytes)
            makeRoom(for: Int64(count)) { failure in
                guard let failure else { return again(copy) }
                self.context.report(failure, "write", self.locked { $0.key })
                reply.fail(failure.errno)
            }
        case .needsPublish:
            let copy = unsafe Array(bytes)
            publishEarly { failure in
                if let failure { reply.fail(failure.errno) } else { again(copy) }
            }
        }
    }

    private func store(
        _ bytes: UnsafeRawBufferPointer, _ range: Range<Int64>, _ state: inout FileState,
        park: () -> @Sendable () -> Void
    ) -> Outcome {
        if state.isFrozen(range) {
            state.parked.append(park())
            return .parked
        }
        if state.extents.bytes([.sent], in: range) > 0 { return .needsPublish }
        if let upload = state.upload, upload.isBusy,
            state.claimed >= context.configuration.streamWindow
        {
            // The link is slower than the writer: more would only go to the disk and back.
            state.parked.append(park())
            return .parked
        }
        let fresh = Int64(range.count) - state.extents.bytes([.clean, .dirty], in: range)
        guard context.staging.claim(fresh) else { return .noRoom }
        state.claimed += fresh
        do throws(StagingError) {
            try unsafe stagedFile(&state).write(bytes, at: range.lowerBound)
        } catch {
            state.claimed -= fresh
            context.staging.release(fresh)
            return error == .full ? .noRoom : .failed(WriteFailure(error))
        }
        // Attributes set before the bytes are overtaken by them, as with any file.
        state.record.touch(context.time)
        changed(range, to: .dirty, &state)
        state.lastWrite = range.upperBound
        return .done
    }

    /// Counts a change of bytes. Under the lock.
    private func changed(
        _ range: Range<Int64>, to source: ExtentMap.Source, _ state: inout FileState
    ) {
        state.extents.set(range, source)
        state.upload?.forget(range)
        state.contentChange += 1
        show(state)
    }

    // MARK: Truncate

    /// truncate(2), after what is being published.
    func truncate(to size: Int64, reply: @escaping @Sendable (WriteFailure?) -> Void) {
        guard size >= 0, size <= context.configuration.layout.largestFile else {
            reply(WriteFailure(errno: .fileTooLarge, reason: "larger than an object can be"))
            return
        }
        gate.enter { [self] leave in
            cut(to: size) { failure in
                leave()
                reply(failure)
            }
        }
    }

    /// Truncates inside the gate.
    func cut(to size: Int64, then: @escaping @Sendable (WriteFailure?) -> Void) {
        enum Next {
            case done, parked, publish, dropStream
        }
        let next: Result<Next, WriteFailure> = locked { state in
            if size == 0, state.upload != nil { return .success(.dropStream) }
            if size > 0, size < state.size, state.isFrozen(size..<Int64.max) {
                state.parked.append { [self] in cut(to: size, then: then) }
                return .success(.parked)
            }
            // Bytes that are not here any more and would be needed to send their part anew.
            if size > 0, size < state.size, let upload = state.upload,
                state.extents.bytes(
                    [.sent], in: upload.layout.range(of: upload.layout.number(containing: size)))
                    > 0
            {
                return .success(.publish)
            }
            return Result { () throws(WriteFailure) in
                try resize(to: size, &state)
                return .done
            }
        }
        switch next {
        case .success(.done): then(nil)
        case .success(.parked): break
        case .success(.dropStream): dropStream { [self] in cut(to: size, then: then) }
        case .success(.publish):
            publishStream { [self] failure in
                if let failure { then(failure) } else { cut(to: size, then: then) }
            }
        case .failure(let failure): then(failure)
        }
    }

    /// Sets the size. Under the lock.
    private func resize(to size: Int64, _ state: inout FileState) throws(WriteFailure) {
        if size < state.size {
            let freed = state.extents.bytes([.clean, .dirty], in: size..<state.size)
            let cut = size..<state.size
            state.upload?.forget(cut)
            do throws(StagingError) {
                try state.staged?.truncate(to: size)
            } catch { throw WriteFailure(error) }
            state.claimed -= freed
            context.staging.release(freed)
        }
        state.extents.truncate(to: size)
        // A whole replacement: nothing of what was there is kept.
        if size == 0 { state.base = nil }
        // Also an equal size is a change: truncate(2) sets the time.
        state.record.touch(context.time)
        state.contentChange += 1
        show(state)
    }

    // MARK: Allocate

    /// fallocate(2).
    func allocate(
        mode: Int32, range: Range<Int64>, reply: @escaping @Sendable (WriteFailure?) -> Void
    ) {
        let keepsSize = mode & pail_FALLOC_FL_KEEP_SIZE != 0
        let punches = mode & pail_FALLOC_FL_PUNCH_HOLE != 0
        let zeroes = mode & pail_FALLOC_FL_ZERO_RANGE != 0
        let known = pail_FALLOC_FL_KEEP_SIZE | pail_FALLOC_FL_PUNCH_HOLE | pail_FALLOC_FL_ZERO_RANGE
        guard mode & ~known == 0, !punches || keepsSize else {
            reply(WriteFailure(errno: .notSupported, reason: "no such mode of fallocate"))
            return
        }
        gate.enter { [self] leave in
            let end: @Sendable (WriteFailure?) -> Void = { failure in
                leave()
                reply(failure)
            }
            let size = locked { $0.size }
            if punches || zeroes {
                clear(range.clamped(to: 0..<max(size, 0))) { [self] failure in
                    if failure == nil, !keepsSize, range.upperBound > size {
                        cut(to: range.upperBound, then: end)
                    } else {
                        end(failure)
                    }
                }
            } else if !keepsSize, range.upperBound > size {
                cut(to: range.upperBound, then: end)
            } else {
                // Room is the bucket's affair: there is nothing to set aside.
                end(nil)
            }
        }
    }

    /// Makes a range a hole, inside the gate.
    private func clear(
        _ range: Range<Int64>, then: @escaping @Sendable (WriteFailure?) -> Void
    ) {
        guard !range.isEmpty else { return then(nil) }
        enum Next { case done, parked, publish }
        let next: Next = locked { state in
            if state.isFrozen(range) {
                state.parked.append { [self] in clear(range, then: then) }
                return .parked
            }
            if state.extents.bytes([.sent], in: range) > 0 { return .publish }
            unstage(range, as: .hole, &state)
            state.record.touch(context.time)
            changed(range, to: .hole, &state)
            return .done
        }
        switch next {
        case .done: then(nil)
        case .parked: break
        case .publish:
            publishStream { [self] failure in
                if let failure { then(failure) } else { clear(range, then: then) }
            }
        }
    }
}
