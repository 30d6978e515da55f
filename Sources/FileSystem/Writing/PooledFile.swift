// A staged file whose bytes are in pooled memory as far as the budget allows, and on the disk where
// it does not or where they must survive.
//
// Most files are small or written from start to end: they are sent from memory and never touch the
// disk. Writing 1 GiB through the page cache took half of the daemon's time (fresh pages are slow to
// touch), through warm pooled memory none of it. Blocks of 1 MiB; a block is in memory or on disk.
//
// Locks: one mutex, held while bytes are copied; below it the disk file's. Memory is let go outside it.

import BlockStore
import Buffers
import Glibc
import Synchronization

/// A staged file in memory, with a file on disk behind it once it needs one.
final class PooledFile: StagedFile {
    /// A block in memory: bytes up to `filled` are the file's, behind that are zeros.
    private struct Block {
        var buffer: Buffer
        var filled: Int
    }

    private struct State: ~Copyable {
        var blocks: [Int: Block] = [:]
        var disk: (any StagedFile)?
        /// Blocks that have bytes on disk.
        var onDisk: Set<Int> = []
        var isRemoved = false
        /// Buffers that were let go, kept until the lock is released.
        var spent: [Buffer] = []
    }

    private let pool: BufferPool
    private let staging: any StagingStorage
    private let state = Mutex(State())

    private static let blockSize = Int64(BufferPool.largeSize)

    init(pool: BufferPool, staging: any StagingStorage) {
        self.pool = pool
        self.staging = staging
    }

    /// Runs under the lock; lets buffers go afterwards.
    private func locked(
        _ body: (inout State) throws(StagingError) -> Void
    ) throws(StagingError) {
        let (spent, error) = state.withLock { state -> ([Buffer], StagingError?) in
            var error: StagingError?
            do throws(StagingError) { try body(&state) } catch let failure { error = failure }
            defer { state.spent = [] }
            return (state.spent, error)
        }
        withExtendedLifetime(spent) {}
        if let error { throw error }
    }

    /// The name of the file on disk; empty while there is none.
    var name: String { state.withLock { $0.disk?.name ?? "" } }

    // MARK: Bytes

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(StagingError) {
        try locked { (state) throws(StagingError) in
            for (block, range) in Self.pieces(offset, bytes.count) {
                let start = Int(Int64(block) * Self.blockSize + Int64(range.lowerBound) - offset)
                let piece = unsafe UnsafeRawBufferPointer(
                    rebasing: bytes[start..<start + range.count])
                try unsafe write(piece, block, range, &state)
            }
        }
    }

    private func write(
        _ bytes: UnsafeRawBufferPointer, _ block: Int, _ range: Range<Int>, _ state: inout State
    ) throws(StagingError) {
        guard !state.onDisk.contains(block), reserve(block, range.upperBound, &state) else {
            let disk = try disk(&state)
            try move(block, to: disk, &state)
            try unsafe disk.write(
                bytes, at: Int64(block) * Self.blockSize + Int64(range.lowerBound))
            state.onDisk.insert(block)
            return
        }
        var held = state.blocks[block]!
        let memory = unsafe held.buffer.pointer
        if held.filled < range.lowerBound {
            unsafe memset(memory + held.filled, 0, range.lowerBound - held.filled)
        }
        unsafe memcpy(memory + range.lowerBound, bytes.baseAddress!, bytes.count)
        held.filled = max(held.filled, range.upperBound)
        state.blocks[block] = held
    }

    /// Makes sure that a block is in memory with room for so many bytes; false when there is none.
    private func reserve(_ block: Int, _ end: Int, _ state: inout State) -> Bool {
        let old = state.blocks[block]
        if let old, old.buffer.capacity >= end { return true }
        guard let buffer = pool.tryTake(fitting: end) else { return false }
        if let old {
            unsafe memcpy(buffer.pointer, old.buffer.pointer, old.filled)
            state.spent.append(old.buffer)
        }
        state.blocks[block] = Block(buffer: buffer, filled: old?.filled ?? 0)
        return true
    }

    func read(at offset: Int64, into memory: UnsafeMutableRawBufferPointer) throws(StagingError) {
        try locked { (state) throws(StagingError) in
            for (block, range) in Self.pieces(offset, memory.count) {
                let start = Int(Int64(block) * Self.blockSize + Int64(range.lowerBound) - offset)
                let piece = unsafe UnsafeMutableRawBufferPointer(
                    rebasing: memory[start..<start + range.count])
                if let held = state.blocks[block] {
                    let count = max(0, min(held.filled - range.lowerBound, range.count))
                    if count > 0 {
                        unsafe memcpy(
                            piece.baseAddress!, held.buffer.pointer + range.lowerBound, count)
                    }
                    if count < range.count {
                        unsafe memset(piece.baseAddress! + count, 0, range.count - count)
                    }
                } else if state.onDisk.contains(block), let disk = state.disk {
                    try unsafe disk.read(
                        at: Int64(block) * Self.blockSize + Int64(range.lowerBound), into: piece)
                } else {
                    unsafe memset(piece.baseAddress!, 0, range.count)
                }
            }
        }
    }

    func punch(_ range: Range<Int64>) {
        try? locked { (state) throws(StagingError) in
            let first = Int(range.lowerBound / Self.blockSize)
            let touched = state.blocks.keys.filter { block in
                block >= first && Int64(block) * Self.blockSize < range.upperBound
            }
            for block in touched { clear(block, range, &state) }
            state.disk?.punch(range)
        }
    }

    /// Makes a part of a block in memory zeros. Under the lock.
    private func clear(_ block: Int, _ range: Range<Int64>, _ state: inout State) {
        guard var held = state.blocks[block] else { return }
        let start = Int64(block) * Self.blockSize
        let cut = range.clamped(to: start..<start + Self.blockSize)
        let (from, to) = (Int(cut.lowerBound - start), Int(cut.upperBound - start))
        if from == 0, to >= held.filled {
            state.spent.append(held.buffer)
            state.blocks[block] = nil
        } else if to >= held.filled {
            held.filled = min(held.filled, from)
            state.blocks[block] = held
        } else {
            unsafe memset(held.buffer.pointer + from, 0, to - from)
        }
    }

    func truncate(to size: Int64) throws(StagingError) {
        try locked { (state) throws(StagingError) in
            for block in state.blocks.keys where Int64(block + 1) * Self.blockSize > size {
                clear(block, size..<Int64.max, &state)
            }
            guard let disk = state.disk else { return }
            try disk.truncate(to: size)
            state.onDisk = state.onDisk.filter { Int64($0) * Self.blockSize < size }
        }
    }

    // MARK: Disk

    func synchronize() throws(StagingError) {
        try locked { (state) throws(StagingError) in
            guard !state.blocks.isEmpty || state.disk != nil else { return }
            let disk = try disk(&state)
            for block in state.blocks.keys.sorted() { try move(block, to: disk, &state) }
            try disk.synchronize()
        }
    }

    private func disk(_ state: inout State) throws(StagingError) -> any StagedFile {
        if let disk = state.disk { return disk }
        let disk = try staging.makeFile()
        if state.isRemoved { disk.remove() }
        state.disk = disk
        return disk
    }

    /// Writes a block that is in memory to the disk. Under the lock.
    private func move(
        _ block: Int, to disk: any StagedFile, _ state: inout State
    ) throws(StagingError) {
        guard let held = state.blocks[block] else { return }
        let bytes = unsafe UnsafeRawBufferPointer(start: held.buffer.pointer, count: held.filled)
        try unsafe disk.write(bytes, at: Int64(block) * Self.blockSize)
        state.onDisk.insert(block)
        state.spent.append(held.buffer)
        state.blocks[block] = nil
    }

    /// Removes the file on disk. Those who still read go on.
    func remove() {
        let disk = state.withLock { state in
            state.isRemoved = true
            return state.disk
        }
        disk?.remove()
    }

    // MARK: Arithmetic

    /// The blocks of a range of bytes, each with the range within it.
    private static func pieces(_ offset: Int64, _ count: Int) -> [(Int, Range<Int>)] {
        guard count > 0 else { return [] }
        let end = offset + Int64(count)
        let first = Int(offset / blockSize)
        let last = Int((end - 1) / blockSize)
        return (first...last).map { block in
            let start = Int64(block) * blockSize
            return (
                block,
                Int(max(offset, start) - start)..<Int(min(end, start + blockSize) - start)
            )
        }
    }
}
