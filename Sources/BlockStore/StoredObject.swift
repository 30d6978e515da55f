// The blocks of one object version: what is in memory of its map, and the read path.
//
// A reader looks up the bits and checksums under the object's lock, reads the file without it, and
// compares. Whatever happens to the files meanwhile (evicted, cut off, overwritten by another
// process) shows as a wrong checksum, and a wrong checksum is a miss.
//
// Locks: the object's state; under it the store's list of touched objects (a leaf). Files are opened
// and records loaded under it, data is read and written outside it.

import CPlatform
import Glibc
import Synchronization

/// An object's two open files, closed with the last use.
final class ObjectFiles: Sendable {
    let data: Int32
    let map: Int32

    init(data: Int32, map: Int32) {
        self.data = data
        self.map = map
    }

    deinit {
        close(data)
        close(map)
    }

    /// Bytes on disk of both.
    var bytesOnDisk: Int64 {
        [data, map].reduce(0) { total, fd in
            var status = stat()
            return unsafe fstat(fd, &status) == 0 ? total + Int64(status.st_blocks) * 512 : total
        }
    }

    /// True once another process, or `pail cache clear`, has removed either.
    var isRemoved: Bool {
        [data, map].contains { fd in
            var status = stat()
            return unsafe fstat(fd, &status) != 0 || status.st_nlink == 0
        }
    }
}

/// The cached blocks of one object version in this process.
final class StoredObject: CachedObject {
    struct State {
        /// The files may exist: else nothing is looked for on disk.
        var mayExist: Bool
        var files: ObjectFiles?
        /// Loaded records by block / 256. A missing one is loaded when first asked for.
        var groups: [Int: BlockGroup] = [:]
        /// Counts uses of blocks; orders eviction.
        var clock: UInt32 = 0
        var pending: [PendingWrite] = []
        var isQueued = false
        /// In the store's list of what the next flush tells of.
        var isTouched = false
        var bytes: Int64 = 0
        var wroteSinceFlush = false
        var lastUse: Duration = .zero
        /// Bytes of data whose writeback was begun and not waited for.
        var unsynced: Range<Int64>?
    }

    let store: DiskBlockStore
    let identity: ObjectIdentity
    let name: ObjectName
    let state: Mutex<State>

    init(store: DiskBlockStore, identity: ObjectIdentity, name: ObjectName, mayExist: Bool) {
        self.store = store
        self.identity = identity
        self.name = name
        state = Mutex(State(mayExist: mayExist))
    }

    deinit { store.registry.forget(name) }

    func present(block: Int) -> UInt64 {
        state.withLock { state in
            guard let (group, index) = find(block, &state) else { return 0 }
            return group.valid[index]
        }
    }

    func read(block: Int, chunks: Range<Int>, into memory: UnsafeMutableRawPointer) -> Bool {
        guard !chunks.isEmpty, isWithin(block, chunks) else { return false }
        var wanted = InlineArray<64, UInt32>(repeating: 0)
        let files: ObjectFiles? = state.withLock { state in
            guard let (group, index) = find(block, &state),
                group.valid[index] & Self.mask(chunks) == Self.mask(chunks),
                let files = openFiles(&state, create: false)
            else { return nil }
            let first = index * BlockGeometry.chunksPerBlock
            for chunk in chunks { wanted[chunk] = group.checksums[first + chunk] }
            state.clock &+= 1
            group.stamps[index] = state.clock
            touch(&state)
            return files
        }
        guard let files else { return false }
        let count = bytes(block, chunks)
        let read = unsafe pail_pread_all(files.data, memory, count, offset(block, chunks))
        if read == count, unsafe check(memory, count, chunks, wanted) == 0 { return true }
        return unsafe readAgain(block, chunks, memory, count, files)
    }

    /// The checksums did not match: another process may have written the record anew. Takes what the
    /// file says now; chunks that are wrong by that too are dropped.
    private func readAgain(
        _ block: Int, _ chunks: Range<Int>, _ memory: UnsafeMutableRawPointer, _ count: Int,
        _ files: ObjectFiles
    ) -> Bool {
        let read = unsafe pail_pread_all(files.data, memory, count, offset(block, chunks))
        let removed = files.isRemoved
        return state.withLock { state in
            if removed {
                abandonFiles(&state)
                return false
            }
            guard let (group, index) = find(block, &state) else { return false }
            reload(block, group, index, files)
            let first = index * BlockGeometry.chunksPerBlock
            var wanted = InlineArray<64, UInt32>(repeating: 0)
            for chunk in chunks { wanted[chunk] = group.checksums[first + chunk] }
            let wrong =
                read == count
                ? unsafe check(memory, count, chunks, wanted) : Self.mask(chunks)
            let absent = Self.mask(chunks) & ~group.valid[index]
            group.valid[index] &= ~wrong
            if wrong != 0 { writeRecord(block, group, index, files) }
            return wrong | absent == 0
        }
    }

    /// Bits of the chunks whose checksum is not as wanted.
    private func check(
        _ memory: UnsafeMutableRawPointer, _ count: Int, _ chunks: Range<Int>,
        _ wanted: borrowing InlineArray<64, UInt32>
    ) -> UInt64 {
        var wrong: UInt64 = 0
        var at = 0
        for chunk in chunks {
            let length = min(BlockGeometry.chunkSize, count - at)
            if unsafe pail_crc32c(0, memory + at, length) != wanted[chunk] {
                wrong |= 1 << UInt64(chunk)
            }
            at += length
        }
        return wrong
    }

    func store(
        block: Int, chunks: Range<Int>, from memory: UnsafeRawPointer,
        release: @escaping @Sendable () -> Void
    ) {
        guard !chunks.isEmpty, isWithin(block, chunks), store.trouble.allowsWrites,
            store.queue.admit(bytes(block, chunks))
        else { return release() }
        let write = unsafe PendingWrite(
            block: block, chunks: chunks, memory: memory, release: release)
        let mustQueue = state.withLock { state in
            state.pending.append(write)
            defer { state.isQueued = true }
            return !state.isQueued
        }
        if mustQueue { store.queue.append(self) }
    }
}

// Geometry.
extension StoredObject {
    var blockCount: Int {
        Int((identity.size + Int64(BlockGeometry.blockSize) - 1) / Int64(BlockGeometry.blockSize))
    }

    /// Chunks of a block; the last block has fewer.
    func chunkCount(_ block: Int) -> Int {
        let rest = identity.size - Int64(block) * Int64(BlockGeometry.blockSize)
        let bytes = Int(min(rest, Int64(BlockGeometry.blockSize)))
        return (bytes + BlockGeometry.chunkSize - 1) / BlockGeometry.chunkSize
    }

    func isWithin(_ block: Int, _ chunks: Range<Int>) -> Bool {
        block >= 0 && block < blockCount && chunks.lowerBound >= 0
            && chunks.upperBound <= chunkCount(block)
    }

    func offset(_ block: Int, _ chunks: Range<Int>) -> Int64 {
        Int64(block) * Int64(BlockGeometry.blockSize)
            + Int64(chunks.lowerBound * BlockGeometry.chunkSize)
    }

    /// Bytes of whole chunks, the object's last one short.
    func bytes(_ block: Int, _ chunks: Range<Int>) -> Int {
        let rest = identity.size - offset(block, chunks)
        return Int(min(rest, Int64(chunks.count * BlockGeometry.chunkSize)))
    }

    static func mask(_ chunks: Range<Int>) -> UInt64 {
        chunks.count >= 64
            ? .max : ((1 << UInt64(chunks.count)) - 1) << UInt64(chunks.lowerBound)
    }
}
