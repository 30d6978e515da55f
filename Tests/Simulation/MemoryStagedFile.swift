// One staged file in memory: pages of 4 KiB, of which those that were changed since the last
// synchronization are known with what they were before.

import BlockStore
import Glibc

/// The bytes of a file. Only touched under the storage's lock.
final class StagedContents: @unchecked Sendable {
    static let page = 4096

    /// What was never written is not there.
    private var pages: [Int: [UInt8]] = [:]
    private(set) var size: Int64 = 0
    /// What the pages that were changed since the last synchronization held; nil for nothing.
    private var before: [Int: [UInt8]?] = [:]
    private var durableSize: Int64 = 0
    /// Its name was synchronized.
    private var isDurable = false

    func copy() -> StagedContents {
        let copy = StagedContents()
        copy.pages = pages
        copy.size = size
        copy.before = before
        copy.durableSize = durableSize
        copy.isDurable = isDurable
        return copy
    }

    private func change(_ number: Int, _ body: (inout [UInt8]) -> Void) {
        if before.index(forKey: number) == nil { before[number] = .some(pages[number]) }
        var page = pages.removeValue(forKey: number) ?? [UInt8](repeating: 0, count: Self.page)
        body(&page)
        pages[number] = page
    }

    private func drop(_ number: Int) {
        guard pages[number] != nil else { return }
        if before.index(forKey: number) == nil { before[number] = .some(pages[number]) }
        pages[number] = nil
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) {
        var done = 0
        while done < bytes.count {
            let place = Int(offset) + done
            let start = place % Self.page
            let count = min(Self.page - start, bytes.count - done)
            change(place / Self.page) { page in
                page.withUnsafeMutableBytes {
                    $0.baseAddress!.advanced(by: start).copyMemory(
                        from: bytes.baseAddress!.advanced(by: done), byteCount: count)
                }
            }
            done += count
        }
        size = max(size, offset + Int64(bytes.count))
    }

    func read(at offset: Int64, into memory: UnsafeMutableRawBufferPointer) {
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        var done = 0
        while done < memory.count, offset + Int64(done) < size {
            let place = Int(offset) + done
            let start = place % Self.page
            let count = min(Self.page - start, memory.count - done, Int(size) - place)
            pages[place / Self.page]?.withUnsafeBytes {
                memory.baseAddress!.advanced(by: done).copyMemory(
                    from: $0.baseAddress!.advanced(by: start), byteCount: count)
            }
            done += count
        }
    }

    /// Makes a range zeros; whole pages of it are given back.
    func clear(_ range: Range<Int64>) {
        let range = range.clamped(to: 0..<max(size, 0))
        guard !range.isEmpty else { return }
        let page = Int64(Self.page)
        for number in pages.keys.sorted() {
            let mine = Int64(number) * page..<Int64(number + 1) * page
            let cut = range.clamped(to: mine)
            guard !cut.isEmpty else { continue }
            if cut == mine {
                drop(number)
            } else {
                change(number) { bytes in
                    for index in cut { bytes[Int(index - mine.lowerBound)] = 0 }
                }
            }
        }
    }

    func truncate(to newSize: Int64) {
        if newSize < size { clear(newSize..<size) }
        size = newSize
    }

    func synchronize() {
        before = [:]
        durableSize = size
        isDurable = true
    }

    /// Takes what was not synchronized, or some of it.
    ///
    /// - Returns: false when the file is gone altogether.
    func losePower(using generator: inout SeededGenerator) -> Bool {
        if !isDurable, generator.chance(0.5) { return false }
        for number in before.keys.sorted() where generator.chance(0.5) {
            pages[number] = before[number]!
        }
        if size != durableSize, generator.chance(0.5) {
            let page = Int64(Self.page)
            for number in Array(pages.keys) where Int64(number) * page >= durableSize {
                pages[number] = nil
            }
            size = durableSize
        }
        synchronize()
        return true
    }
}

final class MemoryStagedFile: StagedFile {
    private let storage: MemoryStaging
    let name: String
    private let contents: StagedContents

    init(storage: MemoryStaging, name: String, contents: StagedContents) {
        self.storage = storage
        self.name = name
        self.contents = contents
    }

    /// Touches the disk, unless the process is dead or the disk fails.
    private func touch(_ body: (inout MemoryStaging.State) -> Void) throws(StagingError) {
        guard !storage.points.isDead else { throw .failed(EIO) }
        let fails = storage.state.withLock { state in
            if state.generator.chance(state.faults.failure) { return true }
            body(&state)
            return false
        }
        if fails { throw .failed(EIO) }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(StagingError) {
        var isFull = false
        try touch { state in
            isFull = state.isFull || state.generator.chance(state.faults.full)
            // A full disk may take some of the bytes.
            let count =
                isFull ? Int.random(in: 0...bytes.count / 2, using: &state.generator) : bytes.count
            contents.write(UnsafeRawBufferPointer(rebasing: bytes[..<count]), at: offset)
        }
        if isFull { throw .full }
    }

    func read(at offset: Int64, into memory: UnsafeMutableRawBufferPointer) throws(StagingError) {
        guard !storage.points.isDead else { throw .failed(EIO) }
        storage.state.withLock { _ in contents.read(at: offset, into: memory) }
    }

    func punch(_ range: Range<Int64>) {
        guard !storage.points.isDead else { return }
        storage.state.withLock { _ in contents.clear(range) }
    }

    func truncate(to size: Int64) throws(StagingError) {
        try touch { _ in contents.truncate(to: size) }
    }

    func synchronize() throws(StagingError) {
        guard storage.points.pass("synchronize \(name)") else { throw .failed(EIO) }
        try touch { _ in contents.synchronize() }
        guard storage.points.pass("synchronized \(name)") else { throw .failed(EIO) }
    }

    func remove() {
        guard storage.points.pass("remove \(name)") else { return }
        storage.state.withLock { state in
            guard let contents = state.files.removeValue(forKey: name) else { return }
            state.removed[name] = contents
        }
    }
}
