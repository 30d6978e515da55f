// A file system in memory that can be changed: the other side of the tests of changes. What belongs to
// names is in StoringNames.swift, what belongs to files in StoringFiles.swift.
//
// One mutex; a reply is answered outside of it. Any operation can be parked: it is then carried out,
// and answered, by `unpark`.

import Buffers
import Foundation
import Operations
import Synchronization

/// Serves a tree of directories, files and symbolic links, and counts what it is asked.
final class StoringFileSystem: FileOperations {
    enum Operation: Hashable {
        case lookup, forget, getAttributes, readLink, open, read, flush, release
        case openDirectory, readDirectory, releaseDirectory, statFileSystem
        case getExtendedAttribute, listExtendedAttributes
        case create, makeFile, makeDirectory, makeSymbolicLink, unlink, removeDirectory, rename
        case setAttributes, write, synchronize, synchronizeDirectory, allocate, copyRange, seek
        case setExtendedAttribute, removeExtendedAttribute
    }

    struct Node {
        var kind: FileAttributes.Kind
        var permissions: UInt16
        var uid: UInt32
        var gid: UInt32
        var contents = SparseBytes()
        var target: [UInt8] = []
        var children: [[UInt8]: InodeNumber] = [:]
        var parent: InodeNumber = 1
        var links: UInt32 = 1
        var modified: Int64
        var changed: Int64
        var accessed: Int64
        var extended: [[UInt8]: [UInt8]] = [:]
        /// What the kernel holds of it.
        var lookups: UInt64 = 0
        var handles = 0
    }

    struct State {
        var nodes: [InodeNumber: Node] = [:]
        var nextInode: InodeNumber = 2
        var nextHandle: HandleNumber = 1
        /// Inode and `O_*` of what is open.
        var handles: [HandleNumber: (inode: InodeNumber, flags: Int32)] = [:]
        var counts: [Operation: Int] = [:]
        /// Operations that are parked until `unpark`.
        var parking: Set<Operation> = []
        var parked: [@Sendable () -> Void] = []
        var largestWrite = 0
        var callers: Set<Caller> = []
        /// `dataOnly` of each fsync.
        var synchronized: [Bool] = []
        var keepCache = true
        var timeout = Duration.seconds(60)
        /// What every write is answered with, if anything.
        var writeError: Errno?
    }

    let state: Mutex<State>

    init() {
        let now = Self.now
        let root = Node(
            kind: .directory, permissions: 0o755, uid: getuid(), gid: getgid(), links: 2,
            modified: now, changed: now, accessed: now, lookups: 1)
        state = Mutex(State(nodes: [1: root]))
    }

    // MARK: What tests look at

    func count(_ operation: Operation) -> Int { state.withLock { $0.counts[operation] ?? 0 } }

    var parkedCount: Int { state.withLock { $0.parked.count } }

    /// The node at a path from the root.
    func node(_ path: String) -> Node? {
        state.withLock { state in
            path.split(separator: "/").reduce(state.nodes[1]) { node, name in
                node?.children[Array(name.utf8)].flatMap { state.nodes[$0] }
            }
        }
    }

    func inode(_ name: String) -> InodeNumber? {
        state.withLock { $0.nodes[1]?.children[Array(name.utf8)] }
    }

    func bytes(_ path: String) -> [UInt8]? {
        node(path).map { $0.contents.bytes(0..<$0.contents.size) }
    }

    @discardableResult
    func add(_ name: String, _ bytes: [UInt8]) -> InodeNumber {
        state.withLock { state in
            let owner = Caller(uid: getuid(), gid: getgid())
            let inode = state.make(.file, 0o644, owner, in: 1, Array(name.utf8))
            bytes.withUnsafeBytes { state.nodes[inode]!.contents.write($0, at: 0) }
            return inode
        }
    }

    func park(_ operations: Operation...) { state.withLock { $0.parking = Set(operations) } }

    /// Carries out and answers what was parked; parks nothing from now on.
    func unpark() {
        let parked = state.withLock { state in
            defer { state.parked = [] }
            state.parking = []
            return state.parked
        }
        for work in parked { work() }
    }

    // MARK: For the operations

    static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// Counts, then carries out `body` and answers with what it gives, at once or when unparked.
    func perform<Value>(
        _ operation: Operation, _ reply: Reply<Value>,
        _ body: @escaping @Sendable (inout State) throws(Errno) -> Value
    ) {
        @Sendable func attempt(_ state: inout State) -> Result<Value, Errno> {
            do throws(Errno) { return .success(try body(&state)) } catch { return .failure(error) }
        }
        let result: Result<Value, Errno>? = state.withLock { state in
            state.counts[operation, default: 0] += 1
            guard state.parking.contains(operation) else { return attempt(&state) }
            state.parked.append { [self] in
                reply.answer(self.state.withLock { attempt(&$0) })
            }
            return nil
        }
        if let result { reply.answer(result) }
    }
}

extension StoringFileSystem.State {
    func node(_ inode: InodeNumber) throws(Errno) -> StoringFileSystem.Node {
        guard let node = nodes[inode] else { throw .stale }
        return node
    }

    func attributes(_ inode: InodeNumber) throws(Errno) -> FileAttributes {
        let node = try node(inode)
        let size = node.kind == .file ? node.contents.size : node.target.count
        return FileAttributes(
            inode: inode, kind: node.kind, permissions: node.permissions, linkCount: node.links,
            uid: node.uid, gid: node.gid, size: Int64(size), modified: node.modified,
            changed: node.changed)
    }

    /// An entry; counts a lookup.
    mutating func entry(_ inode: InodeNumber) throws(Errno) -> EntryAnswer {
        let attributes = try attributes(inode)
        nodes[inode]!.lookups += 1
        return EntryAnswer(
            attributes: attributes, entryTimeout: timeout, attributesTimeout: timeout)
    }

    @discardableResult
    mutating func make(
        _ kind: FileAttributes.Kind, _ permissions: UInt16, _ owner: Caller,
        in parent: InodeNumber, _ name: [UInt8]
    ) -> InodeNumber {
        let now = StoringFileSystem.now
        let inode = nextInode
        nextInode += 1
        nodes[inode] = StoringFileSystem.Node(
            kind: kind, permissions: permissions, uid: owner.uid, gid: owner.gid, parent: parent,
            links: kind == .directory ? 2 : 1, modified: now, changed: now, accessed: now)
        nodes[parent]!.children[name] = inode
        touch(parent)
        return inode
    }

    /// The data, or the names, have changed.
    mutating func touch(_ inode: InodeNumber) {
        let now = StoringFileSystem.now
        nodes[inode]?.modified = now
        nodes[inode]?.changed = now
    }

    mutating func open(_ inode: InodeNumber, _ flags: Int32) -> OpenAnswer {
        if flags & O_TRUNC != 0 {
            nodes[inode]!.contents.resize(0)
            touch(inode)
        }
        let handle = nextHandle
        nextHandle += 1
        handles[handle] = (inode, flags)
        nodes[inode]!.handles += 1
        return OpenAnswer(handle: handle, keepCache: keepCache)
    }

    /// Lets go of a node that nobody can reach any more.
    mutating func dropIfUnused(_ inode: InodeNumber) {
        guard let node = nodes[inode], node.links == 0, node.lookups == 0, node.handles == 0
        else { return }
        nodes[inode] = nil
    }
}
