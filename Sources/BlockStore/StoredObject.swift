// The blocks of one object version: what is in memory of its map, and the read path.
//
// A reader looks up the bits and checksums under the object's lock, reads the file without it, and
// compares. Whatever happens to the files meanwhile (evicted, cut off, overwritten by another
// process) shows as a wrong checksum, and a wrong checksum is a miss.
//
// Locks: `disk`, held while files are opened and records read or written; then `state`, under which
// only memory is touched; then the leaves. `present` and `store` take `state` only, so that they
// never wait for the disk. Data is read and written under neither.

import CPlatform
import Glibc
import Synchronization

/// The cached blocks of one object version in this process.
final class StoredObject: CachedObject {
    struct State {
        /// The files may exist: else nothing is looked for on disk.
        var mayExist: Bool
        var files: ObjectFiles?
        /// Records by block / 256. A group below `known` that is missing has no blocks on disk.
        var groups: [Int: BlockGroup] = [:]
        /// Groups below this number were read from the file, or need not be.
        var known: Int
        /// The rest of the map is being read in the background.
        var isLoading = false
        /// The map's file is empty yet.
        var needsHeader = false
        /// Raised when all that was on disk is gone: what was being written then does not count.
        var generation = 0
        /// Counts uses of blocks; orders eviction.
        var clock: UInt32 = 0
        var pending: [PendingWrite] = []
        /// In the queue's list of objects that have something pending.
        var isQueued = false
        /// In the store's list of what the next flush tells of.
        var isTouched = false
        var wroteSinceFlush = false
        var lastUse: Duration = .zero
    }

    let store: DiskBlockStore
    let identity: ObjectIdentity
    let name: ObjectName
    let disk = Mutex<Void>(())
    let state: Mutex<State>

    init(store: DiskBlockStore, identity: ObjectIdentity, name: ObjectName, mayExist: Bool) {
        self.store = store
        self.identity = identity
        self.name = name
        state = Mutex(
            State(mayExist: mayExist, known: mayExist ? 0 : Self.groupCount(identity.size)))
    }

    deinit { store.registry.forget(name) }

    func present(block: Int) -> UInt64 {
        state.withLock { state in
            guard let (group, index) = find(block, state) else { return 0 }
            return group.valid[index]
        }
    }

    /// What memory knows of a read.
    private enum Found {
        case absent
        /// The files are closed or the record was not read yet.
        case unknown
        case there(ObjectFiles)
    }

    func read(block: Int, chunks: Range<Int>, into memory: UnsafeMutableRawPointer) -> Bool {
        guard !chunks.isEmpty, isWithin(block, chunks) else { return false }
        var wanted = InlineArray<64, UInt32>(repeating: 0)
        var found = lookUp(block, chunks, &wanted)
        if case .unknown = found {
            disk.withLock { _ in
                guard let files = openFiles(create: false) else { return drop(block, chunks) }
                load(block / BlockGroup.blocks, files)
            }
            found = lookUp(block, chunks, &wanted)
        }
        guard case .there(let files) = found else { return false }
        let count = bytes(block, chunks)
        let offset = files.dataOffset + offset(block, chunks)
        let read = unsafe readData(files, into: memory, count: count, at: offset)
        if read == count, unsafe check(memory, count, chunks, wanted) == 0 { return true }
        return unsafe readAgain(block, chunks, memory, count, files)
    }

    /// Large reads go past the page cache, like the writes: the kernel keeps the mount's pages itself.
    /// Small ones gain from its readahead and from being near each other.
    private func readData(
        _ files: ObjectFiles, into memory: UnsafeMutableRawPointer, count: Int, at offset: Int64
    ) -> Int {
        if count >= Self.directRead, identity.size >= ObjectFiles.directSize,
            unsafe ObjectFiles.isAligned(UnsafeRawPointer(memory), count),
            let direct = files.directData
        {
            let read = unsafe Int(pail_pread_all(direct, memory, count, offset))
            if read == count { return read }
        }
        return unsafe Int(pail_pread_all(files.data, memory, count, offset))
    }

    /// Reads from this size on go past the page cache, in bytes.
    private static let directRead = 256 << 10

    private func lookUp(
        _ block: Int, _ chunks: Range<Int>, _ wanted: inout InlineArray<64, UInt32>
    ) -> Found {
        state.withLock { state in
            guard let (group, index) = find(block, state) else {
                return block / BlockGroup.blocks < state.known ? .absent : .unknown
            }
            guard group.valid[index] & Self.mask(chunks) == Self.mask(chunks) else {
                return .absent
            }
            guard let files = state.files else { return .unknown }
            let first = index * BlockGeometry.chunksPerBlock
            for chunk in chunks { wanted[chunk] = group.checksums[first + chunk] }
            state.clock &+= 1
            group.stamps[index] = state.clock
            touch(&state)
            return .there(files)
        }
    }

    /// The files cannot be opened now: chunks that were shown as present must not be again.
    private func drop(_ block: Int, _ chunks: Range<Int>) {
        state.withLock { state in
            guard let (group, index) = find(block, state) else { return }
            group.valid[index] &= ~Self.mask(chunks)
        }
    }

    /// The checksums did not match: another process may have written the record anew. Takes what the
    /// file says now; chunks that are wrong by that too are dropped.
    private func readAgain(
        _ block: Int, _ chunks: Range<Int>, _ memory: UnsafeMutableRawPointer, _ count: Int,
        _ files: ObjectFiles
    ) -> Bool {
        disk.withLock { _ in
            if files.isRemoved {
                state.withLock { if $0.files === files { abandonFiles(&$0) } }
                drop(block, chunks)
                return false
            }
            let record = Self.readMap(
                files.map, MapFormat.offset(ofBlock: block), MapFormat.recordSize)
            let offset = files.dataOffset + offset(block, chunks)
            let read = unsafe pail_pread_all(files.data, memory, count, offset)
            let group = BlockGroup(blocks: 1)
            if record.count == MapFormat.recordSize {
                group.take(record, at: 0, index: 0, allowed: Self.mask(0..<chunkCount(block)))
            }
            var wanted = InlineArray<64, UInt32>(repeating: 0)
            for chunk in chunks { wanted[chunk] = group.checksums[chunk] }
            let wrong =
                read == count ? unsafe check(memory, count, chunks, wanted) : Self.mask(chunks)
            let absent = Self.mask(chunks) & ~group.valid[0]
            group.valid[0] &= ~wrong
            state.withLock { state in
                guard state.files === files, let (mine, index) = find(block, state) else { return }
                mine.copy(index, from: group, 0)
            }
            // A record that is not in the file any more would take room that nobody claimed.
            if wrong & ~absent != 0, record.count == MapFormat.recordSize {
                writeRecords(block, group.record(0), files)
                _ = files.cutIfRemoved()
            }
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
    var blockCount: Int { Self.blockCount(identity.size) }

    private static func blockCount(_ size: Int64) -> Int {
        Int((size + Int64(BlockGeometry.blockSize) - 1) / Int64(BlockGeometry.blockSize))
    }

    /// Groups of 256 blocks.
    static func groupCount(_ size: Int64) -> Int {
        (blockCount(size) + BlockGroup.blocks - 1) / BlockGroup.blocks
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

    /// Offset in the object, not in the file.
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
