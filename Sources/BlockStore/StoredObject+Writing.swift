// Writing an object's pending chunks, and taking blocks away again.
//
// Order: reserve space, data, checksums and bits into the record in memory, the record to the file.
// A process killed in between leaves data without bits; power lost in between may leave bits without
// data, and then the checksum says so.

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
    /// Data whose writeback may be under way before a writer waits for it.
    private static let unsyncedLimit: Int64 = 32 << 20

    /// Writes a batch of what is pending. Only one thread at a time (the queue sees to it).
    ///
    /// - Returns: true when more is pending.
    func writePending() -> Bool {
        let batch: [PendingWrite] = state.withLock { state in
            var bytes = 0
            var count = 0
            for write in state.pending where bytes < store.batchLimit {
                bytes += self.bytes(write.block, write.chunks)
                count += 1
            }
            let batch = Array(state.pending.prefix(count))
            state.pending.removeFirst(count)
            return batch
        }
        write(
            batch.sorted { ($0.block, $0.chunks.lowerBound) < ($1.block, $1.chunks.lowerBound) })
        for write in batch {
            write.release()
            store.queue.forget(bytes(write.block, write.chunks))
        }
        return state.withLock { state in
            state.isQueued = !state.pending.isEmpty
            return state.isQueued
        }
    }

    private func write(_ all: [PendingWrite]) {
        let batch = missing(all)
        guard !batch.isEmpty, store.trouble.allowsWrites else { return }
        // The most that this can put on disk: whole pages of data, a page or two of map for each
        // block, the map's header.
        let most = batch.reduce(Int64(16384)) {
            $0 + Int64(bytes($1.block, $1.chunks) + 4095) / 4096 * 4096 + 8192
        }
        guard store.upkeep.reserve(most) else { return }
        var before: Int64 = 0
        let files: ObjectFiles? = state.withLock { state in
            if state.files?.isRemoved == true { abandonFiles(&state) }
            let files = openFiles(&state, create: true)
            before = state.bytes
            return files
        }
        guard let files else { return store.upkeep.space.settle(reserved: most, written: 0) }
        let failure = writeRuns(batch, files)
        let after = files.bytesOnDisk
        state.withLock { state in
            state.bytes = after
            state.wroteSinceFlush = true
            touch(&state)
        }
        store.registry.noteExists(name)
        store.upkeep.space.settle(reserved: most, written: after - before)
        if failure != 0 { store.trouble.writeFailed(-failure) }
    }

    /// Those of `all` whose chunks are not all there already.
    private func missing(_ all: [PendingWrite]) -> [PendingWrite] {
        state.withLock { state in
            all.filter { write in
                guard let (group, index) = find(write.block, &state) else { return true }
                return group.valid[index] & Self.mask(write.chunks) != Self.mask(write.chunks)
            }
        }
    }

    /// Writes neighbours with one call each, then their records. Returns 0 or -errno.
    private func writeRuns(_ batch: [PendingWrite], _ files: ObjectFiles) -> Int32 {
        var start = 0
        while start < batch.count {
            let offset = self.offset(batch[start].block, batch[start].chunks)
            var end = offset
            var pieces: [iovec] = unsafe []
            var next = start
            while next < batch.count,
                self.offset(batch[next].block, batch[next].chunks) == end
            {
                let count = bytes(batch[next].block, batch[next].chunks)
                unsafe pieces.append(
                    iovec(
                        iov_base: UnsafeMutableRawPointer(mutating: batch[next].memory),
                        iov_len: count))
                end += Int64(count)
                next += 1
            }
            let count = unsafe Int32(pieces.count)
            var result = unsafe pieces.withUnsafeMutableBufferPointer {
                unsafe pail_pwritev_all(files.data, $0.baseAddress, count, offset)
            }
            if result == 0 { result = writeRecords(batch[start..<next], files) }
            if result != 0 { return result }
            beginWriteback(files, offset..<end)
            start = next
        }
        return 0
    }

    private func writeRecords(_ written: ArraySlice<PendingWrite>, _ files: ObjectFiles) -> Int32 {
        var failure: Int32 = 0
        for write in written {
            var sums = InlineArray<64, UInt32>(repeating: 0)
            let count = bytes(write.block, write.chunks)
            var at = 0
            for chunk in write.chunks {
                let length = min(BlockGeometry.chunkSize, count - at)
                sums[chunk] = unsafe pail_crc32c(0, write.memory + at, length)
                at += length
            }
            let result: Int32 = state.withLock { state in
                // Evicted or cleared meanwhile: the data went to a file nobody will open again.
                guard state.files === files else { return 0 }
                guard let (group, index) = find(write.block, &state) else { return 0 }
                let onDisk = Self.readMap(
                    files.map, MapFormat.offset(ofBlock: write.block), MapFormat.recordSize)
                if onDisk.count == MapFormat.recordSize {
                    group.merge(
                        onDisk, index: index, allowed: Self.mask(0..<chunkCount(write.block)))
                }
                let first = index * BlockGeometry.chunksPerBlock
                for chunk in write.chunks { group.checksums[first + chunk] = sums[chunk] }
                group.valid[index] |= Self.mask(write.chunks)
                state.clock &+= 1
                group.stamps[index] = state.clock
                return writeRecord(write.block, group, index, files)
            }
            if result != 0 { failure = result }
        }
        return failure
    }

    /// Sends data on its way to the disk, so that dirty pages do not grow without bound.
    private func beginWriteback(_ files: ObjectFiles, _ range: Range<Int64>) {
        guard identity.size > Int64(BlockGeometry.blockSize) else { return }
        _ = pail_sync_file_range(
            files.data, range.lowerBound, range.upperBound - range.lowerBound,
            pail_SYNC_FILE_RANGE_WRITE)
        let due: Range<Int64>? = state.withLock { state in
            let old = state.unsynced ?? range
            let all =
                min(old.lowerBound, range.lowerBound)..<max(old.upperBound, range.upperBound)
            guard all.upperBound - all.lowerBound > Self.unsyncedLimit else {
                state.unsynced = all
                return nil
            }
            state.unsynced = range
            return old
        }
        guard let due else { return }
        _ = pail_sync_file_range(
            files.data, due.lowerBound, due.upperBound - due.lowerBound,
            pail_SYNC_FILE_RANGE_WAIT_BEFORE | pail_SYNC_FILE_RANGE_WRITE
                | pail_SYNC_FILE_RANGE_WAIT_AFTER)
    }

    /// Takes the blocks away that were not used for longest, until `goal` bytes are free.
    ///
    /// - Returns: bytes freed on disk.
    func evictBlocks(_ goal: Int64) -> Int64 {
        var chosen: [Int] = []
        let opened: (ObjectFiles, Int64)? = state.withLock { state in
            guard let files = openFiles(&state, create: false), !files.isRemoved else { return nil }
            chosen = choose(goal, &state, files)
            for block in chosen {
                guard let (group, index) = find(block, &state) else { continue }
                group.valid[index] = 0
                writeRecord(block, group, index, files)
            }
            return (files, files.bytesOnDisk)
        }
        guard let (files, before) = opened else { return 0 }
        for run in Self.runs(chosen) {
            let size = Int64(BlockGeometry.blockSize)
            _ = pail_punch_hole(files.data, Int64(run.lowerBound) * size, Int64(run.count) * size)
        }
        let after = files.bytesOnDisk
        state.withLock { state in
            state.bytes = after
            state.wroteSinceFlush = true
            state.groups = state.groups.filter { !$0.value.valid.allSatisfy { $0 == 0 } }
            touch(&state)
        }
        return max(0, before - after)
    }

    /// The blocks to take away, in ascending order.
    private func choose(_ goal: Int64, _ state: inout State, _ files: ObjectFiles) -> [Int] {
        for number in 0..<(blockCount + BlockGroup.blocks - 1) / BlockGroup.blocks
        where state.groups[number] == nil {
            let group = load(number, &state, files)
            if group.valid.allSatisfy({ $0 == 0 }) { state.groups[number] = nil }
        }
        var all: [(stamp: UInt32, block: Int, bytes: Int64)] = []
        for (number, group) in state.groups {
            for (index, valid) in group.valid.enumerated() where valid != 0 {
                all.append(
                    (
                        group.stamps[index], number * BlockGroup.blocks + index,
                        Int64(valid.nonzeroBitCount * BlockGeometry.chunkSize)
                    ))
            }
        }
        all.sort { ($0.stamp, $0.block) < ($1.stamp, $1.block) }
        var sum: Int64 = 0
        var chosen: [Int] = []
        for candidate in all {
            guard sum < goal else { break }
            sum += candidate.bytes
            chosen.append(candidate.block)
        }
        return chosen.sorted()
    }

    private static func runs(_ blocks: [Int]) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        for block in blocks {
            if let last = runs.last, last.upperBound == block {
                runs[runs.count - 1] = last.lowerBound..<block + 1
            } else {
                runs.append(block..<block + 1)
            }
        }
        return runs
    }
}
