// Writing an object's pending chunks.
//
// Order: reserve space, data, checksums and bits into the file's records, then into memory.
// A process killed in between leaves data without bits; power lost in between may leave bits without
// data, and then the checksum says so. Dirty pages are the kernel's to write back: it does so in the
// background, and slows only the writers when they are too many.

import CPlatform
import Glibc
import Synchronization

/// Chunks that wait to be written. The memory is the caller's until `release`.
@safe struct PendingWrite: @unchecked Sendable {
    var block: Int
    var chunks: Range<Int>
    let memory: UnsafeRawPointer
    var release: @Sendable () -> Void

    init(
        block: Int, chunks: Range<Int>, memory: UnsafeRawPointer,
        release: @escaping @Sendable () -> Void
    ) {
        self.block = block
        self.chunks = chunks
        unsafe self.memory = unsafe memory
        self.release = release
    }
}

extension StoredObject {
    /// Takes neighbours, or what there is, off the pending list.
    ///
    /// - Returns: the batch in ascending order, and whether more is pending.
    func takeBatch() -> (batch: [PendingWrite], more: Bool) {
        state.withLock { state in
            var bytes = 0
            var count = 0
            for write in state.pending {
                guard bytes < store.batchLimit else { break }
                bytes += self.bytes(write.block, write.chunks)
                count += 1
            }
            var batch: [PendingWrite]
            if count == state.pending.count {
                batch = state.pending
                state.pending = []
            } else {
                batch = Array(state.pending[..<count])
                state.pending.removeFirst(count)
            }
            if batch.count > 1 {
                batch.sort { ($0.block, $0.chunks.lowerBound) < ($1.block, $1.chunks.lowerBound) }
            }
            state.isQueued = !state.pending.isEmpty
            return (batch, state.isQueued)
        }
    }

    /// Writes a batch, or drops it. Other threads may write other batches meanwhile.
    func write(_ all: [PendingWrite]) {
        let batch = missing(all)
        guard !batch.isEmpty, store.trouble.allowsWrites else { return }
        // The most that this can put on disk: whole pages of data, a page or two of map for each
        // block, the map's header.
        let most = batch.reduce(Int64(16384)) {
            $0 + Int64(bytes($1.block, $1.chunks) + 4095) / 4096 * 4096 + 8192
        }
        guard store.upkeep.reserve(most) else { return }
        let opened: (ObjectFiles, Int)? = disk.withLock { _ in
            guard let files = openFiles(create: true) else { return nil }
            return (files, state.withLock { $0.generation })
        }
        guard let (files, generation) = opened else {
            return store.upkeep.space.settle(reserved: most, written: 0)
        }
        let sums = batch.map(checksums)
        var failure: Int32 = 0
        if MapFormat.isSmall(identity) {
            failure = disk.withLock { _ in
                let result = writeRuns(batch[...], files)
                if result == 0 { _ = note(batch[...], sums[...], files, generation) }
                settle(most, files)
                return result
            }
        } else {
            failure = writeRuns(batch[...], files)
            disk.withLock { _ in
                if failure == 0 { failure = note(batch[...], sums[...], files, generation) }
                settle(most, files)
            }
        }
        store.registry.noteExists(name)
        guard failure != 0 else { return }
        if failure == -ENOSPC || failure == -EDQUOT { store.upkeep.space.giveBack() }
        store.trouble.writeFailed(-failure)
    }

    /// Takes account of what was written: all that was reserved counts until the next flush tells what
    /// the files have. What they have grown by would be too little while another process punches holes
    /// in them.
    private func settle(_ reserved: Int64, _ files: ObjectFiles) {
        let isRemoved = files.cutIfRemoved()
        state.withLock { state in
            if isRemoved {
                if state.files === files { abandonFiles(&state) }
            } else {
                state.wroteSinceFlush = true
                touch(&state)
            }
        }
        store.upkeep.space.settle(reserved: reserved, written: isRemoved ? 0 : reserved)
    }

    /// Those of `all` whose chunks are not all there already.
    private func missing(_ all: [PendingWrite]) -> [PendingWrite] {
        state.withLock { state in
            all.filter { write in
                guard let (group, index) = find(write.block, state) else { return true }
                return group.valid[index] & Self.mask(write.chunks) != Self.mask(write.chunks)
            }
        }
    }

    /// One a chunk.
    private func checksums(_ write: PendingWrite) -> [UInt32] {
        let count = bytes(write.block, write.chunks)
        return write.chunks.indices.map { chunk in
            let at = (chunk - write.chunks.lowerBound) * BlockGeometry.chunkSize
            let length = min(BlockGeometry.chunkSize, count - at)
            return unsafe pail_crc32c(0, write.memory + at, length)
        }
    }

    /// Writes neighbours with one call each. Returns 0 or -errno.
    private func writeRuns(_ batch: ArraySlice<PendingWrite>, _ files: ObjectFiles) -> Int32 {
        let direct = identity.size >= ObjectFiles.directSize ? files.directData : nil
        var start = batch.startIndex
        while start < batch.endIndex {
            let offset = self.offset(batch[start].block, batch[start].chunks)
            let isDirect = direct != nil && isAligned(batch[start])
            var end = offset
            var pieces: [iovec] = unsafe []
            var next = start
            while next < batch.endIndex,
                self.offset(batch[next].block, batch[next].chunks) == end,
                next == start || isDirect == (direct != nil && isAligned(batch[next]))
            {
                let count = bytes(batch[next].block, batch[next].chunks)
                unsafe pieces.append(
                    iovec(
                        iov_base: UnsafeMutableRawPointer(mutating: batch[next].memory),
                        iov_len: count))
                end += Int64(count)
                next += 1
            }
            var result: Int32 = -EINVAL
            if isDirect, let direct {
                // A copy: the call eats up the list it is given.
                var list = unsafe pieces
                result = unsafe Self.write(&list, to: direct, at: files.dataOffset + offset)
            }
            // Refused for its alignment (a disk of larger sectors), or not asked for.
            if result == -EINVAL {
                result = unsafe Self.write(
                    &pieces, to: files.data, at: files.dataOffset + offset)
            }
            if result != 0 { return result }
            start = next
        }
        return 0
    }

    private func isAligned(_ write: PendingWrite) -> Bool {
        unsafe ObjectFiles.isAligned(write.memory, bytes(write.block, write.chunks))
    }

    private static func write(
        _ pieces: inout [iovec], to file: Int32, at offset: Int64
    ) -> Int32 {
        let count = unsafe Int32(pieces.count)
        return unsafe pieces.withUnsafeMutableBufferPointer {
            unsafe pail_pwritev_all(file, $0.baseAddress, count, offset)
        }
    }

    /// Notes what was written: the records of neighbouring blocks are read, amended and written with
    /// one call each. Called under `disk`. Returns 0 or -errno.
    private func note(
        _ batch: ArraySlice<PendingWrite>, _ sums: ArraySlice<[UInt32]>, _ files: ObjectFiles,
        _ generation: Int
    ) -> Int32 {
        let (isCurrent, isNew) = state.withLock {
            ($0.generation == generation, $0.needsHeader)
        }
        // Evicted or cleared meanwhile: the data went to a file nobody will open again.
        guard isCurrent else { return 0 }
        var start = batch.startIndex
        var writesHeader = isNew
        while start < batch.endIndex {
            let first = batch[start].block
            var last = first
            var next = start
            while next < batch.endIndex, batch[next].block <= last + 1 {
                last = batch[next].block
                next += 1
            }
            let records = amend(first...last, batch[start..<next], sums[start..<next], files, isNew)
            var result: Int32
            if writesHeader, first == 0, var header = MapFormat.header(identity) {
                header += [UInt8](repeating: 0, count: MapFormat.headerSize - header.count)
                header += records
                result = unsafe header.withUnsafeBytes {
                    unsafe pail_pwrite_all(files.map, $0.baseAddress, $0.count, 0)
                }
                writesHeader = false
            } else {
                result = writeRecords(first, records, files)
            }
            if result != 0 { return result }
            publish(first...last, records)
            start = next
        }
        if writesHeader, let header = MapFormat.header(identity) {
            let result = unsafe header.withUnsafeBytes {
                unsafe pail_pwrite_all(files.map, $0.baseAddress, $0.count, 0)
            }
            if result != 0 { return result }
        }
        if isNew { state.withLock { $0.needsHeader = false } }
        return 0
    }

    /// The records of `blocks` as the file has them, with what was written added.
    private func amend(
        _ blocks: ClosedRange<Int>, _ writes: ArraySlice<PendingWrite>,
        _ sums: ArraySlice<[UInt32]>, _ files: ObjectFiles, _ isNew: Bool
    ) -> [UInt8] {
        let size = MapFormat.recordSize
        for number in blocks.lowerBound / BlockGroup.blocks...blocks.upperBound / BlockGroup.blocks
        { load(number, files) }
        var records =
            isNew
            ? []
            : Self.readMap(
                files.map, MapFormat.offset(ofBlock: blocks.lowerBound), blocks.count * size)
        if records.count < blocks.count * size {
            records += [UInt8](repeating: 0, count: blocks.count * size - records.count)
        }
        for (write, sums) in zip(writes, sums) {
            MapFormat.add(
                write.chunks, sums, to: &records, at: (write.block - blocks.lowerBound) * size)
        }
        return records
    }

    /// Makes records visible to readers of this process.
    private func publish(_ blocks: ClosedRange<Int>, _ records: [UInt8]) {
        state.withLock { state in
            for block in blocks {
                let (group, index) = make(block, &state)
                group.take(
                    records, at: (block - blocks.lowerBound) * MapFormat.recordSize, index: index,
                    allowed: Self.mask(0..<chunkCount(block)))
                state.clock &+= 1
                group.stamps[index] = state.clock
            }
        }
    }
}
