// A file system in memory with a few knobs: the other side of every test here.

import Buffers
import Foundation
import Operations
import Synchronization

/// Serves a flat root directory of files, plus one directory of many names. Anything can be parked.
final class MemoryFileSystem: FileOperations {
    struct File {
        var name: [UInt8]
        var data: [UInt8]
        var inode: InodeNumber
        var extended: [String: [UInt8]] = [:]
    }
    struct Counters: Equatable {
        var lookups = 0
        var negativeLookups = 0
        var reads = 0
        var attributes = 0
        var opens = 0
        var releases = 0
        var flushes = 0
        var plusPages = 0
        var plainPages = 0
        var forgotten: [InodeNumber: UInt64] = [:]
        var largestRead = 0
    }
    struct State {
        var files: [InodeNumber: File] = [:]
        var byName: [[UInt8]: InodeNumber] = [:]
        var counters = Counters()
        /// Names whose lookup, and inodes whose read, is parked until `unpark`.
        var parkLookups: Set<[UInt8]> = []
        var parkReads: Set<InodeNumber> = []
        var parkOpens: Set<InodeNumber> = []
        var parkDirectories = false
        var parked: [@Sendable () -> Void] = []
        var keepCache = false
        var timeout = Duration.seconds(60)
        var pieceSize = 1 << 17
    }

    static let manyInode: InodeNumber = 2
    let state = Mutex(State())
    let manyNames: [[UInt8]]
    let many: [[UInt8]: Int]
    let pool: BufferPool?

    init(manyNames: Int = 0, pool: BufferPool? = nil) {
        let names = (0..<manyNames).map { Array("name-\($0)-한글".utf8) }
        self.manyNames = names
        var many: [[UInt8]: Int] = [:]
        for (index, name) in names.enumerated() { many[name] = index }
        self.many = many
        self.pool = pool
    }

    @discardableResult
    func add(_ name: String, _ data: [UInt8], extended: [String: [UInt8]] = [:]) -> InodeNumber {
        state.withLock { state in
            let inode = state.byName[Array(name.utf8)] ?? UInt64(100 + state.files.count)
            state.files[inode] = File(
                name: Array(name.utf8), data: data, inode: inode, extended: extended)
            state.byName[Array(name.utf8)] = inode
            return inode
        }
    }

    var counters: Counters { state.withLock { $0.counters } }
    var parkedCount: Int { state.withLock { $0.parked.count } }

    func unpark() {
        let parked = state.withLock { state in
            defer { state.parked = [] }
            state.parkLookups = []
            state.parkReads = []
            state.parkOpens = []
            state.parkDirectories = false
            return state.parked
        }
        for work in parked { work() }
    }

    private func attributes(_ state: State, _ inode: InodeNumber) -> FileAttributes? {
        let time: Int64 = 1_600_000_000_123_456_789
        if inode == 1 || inode == Self.manyInode {
            return FileAttributes(
                inode: inode, kind: .directory, permissions: 0o755, linkCount: 2, uid: getuid(),
                gid: getgid(), size: 0, modified: time)
        }
        if inode >= 1_000_000 {
            return FileAttributes(
                inode: inode, kind: .file, permissions: 0o644, uid: getuid(), gid: getgid(),
                size: Int64(inode % 1000), modified: time)
        }
        guard let file = state.files[inode] else { return nil }
        return FileAttributes(
            inode: inode, kind: file.name.starts(with: Array("link".utf8)) ? .symbolicLink : .file,
            permissions: 0o640, uid: getuid(), gid: getgid(), size: Int64(file.data.count),
            modified: time)
    }

    private func entry(_ state: State, _ inode: InodeNumber?) -> EntryAnswer {
        EntryAnswer(
            attributes: inode.flatMap { attributes(state, $0) }, entryTimeout: state.timeout,
            attributesTimeout: state.timeout)
    }

    func lookup(parent: InodeNumber, name: [UInt8], reply: Reply<EntryAnswer>) {
        let answer: EntryAnswer? = state.withLock { state in
            state.counters.lookups += 1
            let inode: InodeNumber? =
                if parent == Self.manyInode {
                    many[name].map { UInt64(1_000_000 + $0) }
                } else if name == Array("many".utf8) {
                    Self.manyInode
                } else {
                    state.byName[name]
                }
            if inode == nil { state.counters.negativeLookups += 1 }
            let answer = entry(state, inode)
            if state.parkLookups.contains(name) {
                state.parked.append { reply.succeed(answer) }
                return nil
            }
            return answer
        }
        if let answer { reply.succeed(answer) }
    }

    func forget(inode: InodeNumber, count: UInt64) {
        state.withLock { $0.counters.forgotten[inode, default: 0] += count }
    }

    func getAttributes(
        inode: InodeNumber, handle: HandleNumber?, reply: Reply<AttributesAnswer>
    ) {
        let answer: AttributesAnswer? = state.withLock { state in
            state.counters.attributes += 1
            return attributes(state, inode).map {
                AttributesAnswer(attributes: $0, timeout: state.timeout)
            }
        }
        if let answer { reply.succeed(answer) } else { reply.fail(.noEntry) }
    }

    func readLink(inode: InodeNumber, reply: Reply<[UInt8]>) {
        reply.succeed(state.withLock { $0.files[inode]?.data ?? [] })
    }

    func open(inode: InodeNumber, flags: Int32, reply: Reply<OpenAnswer>) {
        let answer: OpenAnswer? = state.withLock { state in
            state.counters.opens += 1
            let answer = OpenAnswer(
                handle: inode + 1_000_000_000, keepCache: state.keepCache)
            if state.parkOpens.contains(inode) {
                state.parked.append { reply.succeed(answer) }
                return nil
            }
            return answer
        }
        if let answer { reply.succeed(answer) }
    }

    func read(
        inode: InodeNumber, handle: HandleNumber, offset: Int64, size: Int,
        reply: Reply<ReadAnswer>
    ) {
        let answer: ReadAnswer? = state.withLock { state in
            state.counters.reads += 1
            state.counters.largestRead = max(state.counters.largestRead, size)
            let data = state.files[inode]?.data ?? []
            let end = min(Int(offset) + size, data.count)
            var pieces: [ReadAnswer.Piece] = []
            var at = Int(offset)
            while at < end {
                let count = min(state.pieceSize, end - at)
                pieces.append(Self.piece(data[at..<at + count]))
                at += count
            }
            let answer = ReadAnswer(pieces: pieces)
            if state.parkReads.contains(inode) {
                state.parked.append { reply.succeed(answer) }
                return nil
            }
            return answer
        }
        if let answer { reply.succeed(answer) }
    }

    private static func piece(_ bytes: ArraySlice<UInt8>) -> ReadAnswer.Piece {
        // An odd offset within the buffer, so that offsets count.
        let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes.count + 3, alignment: 16)
        memory.initializeMemory(as: UInt8.self, repeating: 0xEE, count: bytes.count + 3)
        bytes.withUnsafeBytes {
            memory.advanced(by: 3).copyMemory(from: $0.baseAddress!, byteCount: bytes.count)
        }
        let buffer = Buffer(pointer: memory, capacity: bytes.count + 3) { pointer, _ in
            pointer.deallocate()
        }
        return ReadAnswer.Piece(buffer: buffer, offset: 3, count: bytes.count)
    }

    func flush(inode: InodeNumber, handle: HandleNumber, reply: Reply<Void>) {
        state.withLock { $0.counters.flushes += 1 }
        reply.succeed()
    }

    func release(inode: InodeNumber, handle: HandleNumber, reply: Reply<Void>) {
        state.withLock { $0.counters.releases += 1 }
        reply.succeed()
    }

    func openDirectory(inode: InodeNumber, reply: Reply<OpenAnswer>) {
        reply.succeed(OpenAnswer(handle: 7))
    }

    func readDirectory(
        inode: InodeNumber, handle: HandleNumber, offset: UInt64, reply: any DirectoryReply
    ) {
        let isParked = state.withLock { state in
            if reply.plus {
                state.counters.plusPages += 1
            } else {
                state.counters.plainPages += 1
            }
            if state.parkDirectories {
                state.parked.append { [self] in fill(inode, offset, reply) }
                return true
            }
            return false
        }
        if !isParked { fill(inode, offset, reply) }
    }

    private func fill(_ inode: InodeNumber, _ offset: UInt64, _ reply: any DirectoryReply) {
        let (snapshot, timeout) = state.withLock { ($0, $0.timeout) }
        let rootNames: [(name: [UInt8], inode: InodeNumber)] =
            inode == Self.manyInode
            ? []
            : [(Array("many".utf8), Self.manyInode)]
                + snapshot.files.values.sorted { $0.inode < $1.inode }.map { ($0.name, $0.inode) }
        let total = 2 + (inode == Self.manyInode ? manyNames.count : rootNames.count)
        var index = Int(offset)
        while index < total {
            let name: [UInt8]
            var child: InodeNumber = 1
            switch index {
            case 0: name = Array(".".utf8)
            case 1: name = Array("..".utf8)
            case _ where inode == Self.manyInode:
                name = manyNames[index - 2]
                child = UInt64(1_000_000 + index - 2)
            default:
                name = rootNames[index - 2].name
                child = rootNames[index - 2].inode
            }
            let attributes = attributes(snapshot, child)!
            guard
                reply.add(
                    name: name, attributes: attributes, entryTimeout: index < 2 ? nil : timeout,
                    attributesTimeout: timeout, nextOffset: UInt64(index + 1))
            else { break }
            index += 1
        }
        reply.finish()
    }

    func releaseDirectory(inode: InodeNumber, handle: HandleNumber, reply: Reply<Void>) {
        reply.succeed()
    }

    func statFileSystem(inode: InodeNumber, reply: Reply<FileSystemStatistics>) {
        reply.succeed(
            FileSystemStatistics(
                blockSize: 4096, blocks: 1 << 40, freeBlocks: 1 << 39, files: 1000,
                freeFiles: 500, nameLimit: 255))
    }

    func getExtendedAttribute(inode: InodeNumber, name: [UInt8], reply: Reply<[UInt8]>) {
        let value = state.withLock {
            $0.files[inode]?.extended[String(decoding: name, as: UTF8.self)]
        }
        if let value { reply.succeed(value) } else { reply.fail(.noData) }
    }

    func listExtendedAttributes(inode: InodeNumber, reply: Reply<[[UInt8]]>) {
        let names = state.withLock { $0.files[inode]?.extended.keys.sorted() ?? [] }
        reply.succeed(names.map { Array($0.utf8) })
    }
}
