// Plays the kernel to a `FileOperations`: asks, steps the scheduler until the answer is there, and
// keeps the kernel's books (lookups counted per inode, open handles, operations under way).
//
// `begin…` only asks, for many operations at once; the methods without `begin` wait. An operation
// that is never answered is a finding: `unanswered` names it, and waiting for it throws EDEADLK.
//
// Locks: one mutex, a leaf; the file system is never called under it.

import Glibc
public import Operations
import Synchronization

/// The kernel's side of one mount, in a test.
public final class FileSystemDriver: Sendable {
    public let operations: any FileOperations
    public let scheduler: SimulatedScheduler
    /// Virtual time after which a wait is given up.
    public let patience: Duration
    private let books = Mutex(Books())

    private struct Books {
        var lookups: [InodeNumber: UInt64] = [:]
        var files: [HandleNumber: InodeNumber] = [:]
        var directories: [HandleNumber: InodeNumber] = [:]
        var pending: [Int: PendingOperation] = [:]
        var nextID = 0
    }

    public init(
        _ operations: any FileOperations, scheduler: SimulatedScheduler,
        patience: Duration = .seconds(600)
    ) {
        self.operations = operations
        self.scheduler = scheduler
        self.patience = patience
    }

    /// FUSE_ROOT_ID.
    public static let root: InodeNumber = 1

    // MARK: The books

    /// Lookups the file system counts for each inode: those it must still know.
    public var lookups: [InodeNumber: UInt64] { books.withLock { $0.lookups } }
    /// Open files, and their inodes.
    public var openFiles: [HandleNumber: InodeNumber] { books.withLock { $0.files } }
    /// Open directories, and their inodes.
    public var openDirectories: [HandleNumber: InodeNumber] { books.withLock { $0.directories } }
    /// Operations without an answer, by description.
    public var unanswered: [String] {
        books.withLock { $0.pending.values.map(\.description).sorted() }
    }

    /// Steps until an operation is answered.
    ///
    /// - Returns: false when it never will be.
    @discardableResult
    public func wait(for pending: PendingOperation) -> Bool {
        let end = scheduler.now + patience
        var steps = 0
        while !pending.isAnswered, steps < 1_000_000, scheduler.step(until: end) { steps += 1 }
        return pending.isAnswered
    }

    private func value<Value>(_ pending: Pending<Value>) throws(Errno) -> Value {
        guard wait(for: pending), let result = pending.result else {
            throw Errno(rawValue: EDEADLK)
        }
        return try result.get()
    }

    private func begin<Value: Sendable>(
        _ description: String, _ note: @escaping @Sendable (inout Books, Value) -> Void,
        then: @escaping @Sendable (Result<Value, Errno>) -> Void,
        _ ask: (Reply<Value>) -> Void
    ) -> Pending<Value> {
        let pending = pend(description, note, then: then)
        ask(pending.reply { $0 })
        return pending
    }

    /// Enters an operation in the books, until it is answered.
    private func pend<Value: Sendable>(
        _ description: String, _ note: @escaping @Sendable (inout Books, Value) -> Void,
        then: @escaping @Sendable (Result<Value, Errno>) -> Void
    ) -> Pending<Value> {
        let id = books.withLock { books in
            books.nextID += 1
            return books.nextID
        }
        let pending = Pending<Value>(description) { [self] result in
            books.withLock { books in
                books.pending[id] = nil
                if case .success(let value) = result { note(&books, value) }
            }
            then(result)
        }
        books.withLock { $0.pending[id] = pending }
        return pending
    }

    // MARK: Names

    /// As LOOKUP.
    @discardableResult
    public func beginLookup(
        _ parent: InodeNumber, _ name: [UInt8],
        then: @escaping @Sendable (Result<EntryAnswer, Errno>) -> Void = { _ in }
    ) -> Pending<EntryAnswer> {
        begin(
            "lookup \(parent) \(String(decoding: name, as: UTF8.self))",
            { books, answer in
                guard let attributes = answer.attributes else { return }
                books.lookups[attributes.inode, default: 0] += 1
            }, then: then
        ) { operations.lookup(parent: parent, name: name, reply: $0) }
    }

    public func lookup(_ parent: InodeNumber, _ name: String) throws(Errno) -> EntryAnswer {
        try value(beginLookup(parent, Array(name.utf8)))
    }

    /// Looks up each component of a path below the root, as the kernel does without a dentry cache.
    /// Throws ENOENT for a negative answer.
    public func walk(_ path: String) throws(Errno) -> FileAttributes {
        var found = try attributes(Self.root)
        for name in path.split(separator: "/") {
            guard let next = try lookup(found.inode, String(name)).attributes else {
                throw .noEntry
            }
            found = next
        }
        return found
    }

    /// As GETATTR.
    @discardableResult
    public func beginAttributes(
        _ inode: InodeNumber, handle: HandleNumber? = nil,
        then: @escaping @Sendable (Result<AttributesAnswer, Errno>) -> Void = { _ in }
    ) -> Pending<AttributesAnswer> {
        begin("getattr \(inode)", { _, _ in }, then: then) {
            operations.getAttributes(inode: inode, handle: handle, reply: $0)
        }
    }

    public func attributes(_ inode: InodeNumber) throws(Errno) -> FileAttributes {
        try value(beginAttributes(inode)).attributes
    }

    /// As FORGET; at most as often as it was looked up.
    public func forget(_ inode: InodeNumber, count: UInt64? = nil) {
        let forgotten: UInt64 = books.withLock { books in
            guard let known = books.lookups[inode] else { return 0 }
            let count = min(count ?? known, known)
            books.lookups[inode] = known == count ? nil : known - count
            return count
        }
        if forgotten > 0 { operations.forget(inode: inode, count: forgotten) }
    }

    /// Forgets every inode, children (made later) before their parents.
    public func forgetAll() {
        for inode in lookups.keys.sorted(by: >) { forget(inode) }
    }

    // MARK: Files

    /// As OPEN.
    @discardableResult
    public func beginOpen(
        _ inode: InodeNumber, flags: Int32 = O_RDONLY,
        then: @escaping @Sendable (Result<OpenAnswer, Errno>) -> Void = { _ in }
    ) -> Pending<OpenAnswer> {
        begin("open \(inode)", { $0.files[$1.handle] = inode }, then: then) {
            operations.open(inode: inode, flags: flags, reply: $0)
        }
    }

    public func open(_ inode: InodeNumber, flags: Int32 = O_RDONLY) throws(Errno) -> OpenAnswer {
        try value(beginOpen(inode, flags: flags))
    }

    /// As READ; the bytes are copied and the answer's buffers let go.
    @discardableResult
    public func beginRead(
        _ handle: HandleNumber, offset: Int64, size: Int,
        then: @escaping @Sendable (Result<[UInt8], Errno>) -> Void = { _ in }
    ) -> Pending<[UInt8]> {
        let inode = books.withLock { $0.files[handle] ?? 0 }
        let pending: Pending<[UInt8]> = pend(
            "read \(inode) handle \(handle) at \(offset) size \(size)", { _, _ in }, then: then)
        operations.read(
            inode: inode, handle: handle, offset: offset, size: size,
            reply: pending.reply(\.bytes))
        return pending
    }

    public func read(_ handle: HandleNumber, offset: Int64, size: Int) throws(Errno) -> [UInt8] {
        try value(beginRead(handle, offset: offset, size: size))
    }

    /// Reads a file to its end in requests of `size`, as `cat` does.
    public func readAll(_ handle: HandleNumber, size: Int = 1 << 17) throws(Errno) -> [UInt8] {
        var all: [UInt8] = []
        while true {
            let bytes = try read(handle, offset: Int64(all.count), size: size)
            all += bytes
            if bytes.count < size { return all }
        }
    }

    /// As FLUSH and RELEASE.
    public func beginClose(
        _ handle: HandleNumber,
        then: @escaping @Sendable (Result<Void, Errno>) -> Void = { _ in }
    ) {
        guard let inode = books.withLock({ $0.files.removeValue(forKey: handle) }) else {
            return then(.failure(.badHandle))
        }
        let _: Pending<Void> = begin(
            "flush \(inode)", { _, _ in },
            then: { [self] flushed in
                let _: Pending<Void> = begin(
                    "release \(inode)", { _, _ in },
                    then: { released in then(flushed.flatMap { released }) },
                    { operations.release(inode: inode, handle: handle, reply: $0) })
            }, { operations.flush(inode: inode, handle: handle, reply: $0) })
    }

    public func close(_ handle: HandleNumber) throws(Errno) {
        try finished { beginClose(handle, then: $0) }
    }

    /// Waits for an operation that answers only whether it was done.
    private func finished(
        _ begin: (@escaping @Sendable (Result<Void, Errno>) -> Void) -> Void
    ) throws(Errno) {
        let pending = Pending<Void>("close")
        begin { pending.take($0) }
        try value(pending)
    }

    /// Opens, reads and closes a path.
    public func contents(of path: String) throws(Errno) -> [UInt8] {
        let handle = try open(try walk(path).inode).handle
        let result = Result { () throws(Errno) in try readAll(handle) }
        try close(handle)
        return try result.get()
    }

    // MARK: Directories

    /// As OPENDIR.
    @discardableResult
    public func beginOpenDirectory(
        _ inode: InodeNumber,
        then: @escaping @Sendable (Result<OpenAnswer, Errno>) -> Void = { _ in }
    ) -> Pending<OpenAnswer> {
        begin("opendir \(inode)", { $0.directories[$1.handle] = inode }, then: then) {
            operations.openDirectory(inode: inode, reply: $0)
        }
    }

    public func openDirectory(_ inode: InodeNumber) throws(Errno) -> OpenAnswer {
        try value(beginOpenDirectory(inode))
    }

    /// As READDIR or READDIRPLUS, of at most `limit` names.
    @discardableResult
    public func beginReadDirectory(
        _ handle: HandleNumber, offset: UInt64, limit: Int, plus: Bool = true,
        then: @escaping @Sendable (Result<[DirectoryName], Errno>) -> Void = { _ in }
    ) -> PendingPage {
        let (id, inode) = books.withLock { books in
            books.nextID += 1
            return (books.nextID, books.directories[handle] ?? 0)
        }
        let page = PendingPage("readdir \(inode) at \(offset)", limit: limit, plus: plus) {
            [self] result in
            books.withLock { books in
                books.pending[id] = nil
                guard case .success(let names) = result else { return }
                for name in names where name.entryTimeout != nil {
                    books.lookups[name.attributes.inode, default: 0] += 1
                }
            }
            then(result)
        }
        books.withLock { $0.pending[id] = page }
        operations.readDirectory(inode: inode, handle: handle, offset: offset, reply: page)
        return page
    }

    public func readDirectory(
        _ handle: HandleNumber, offset: UInt64, limit: Int, plus: Bool = true
    ) throws(Errno) -> [DirectoryName] {
        let page = beginReadDirectory(handle, offset: offset, limit: limit, plus: plus)
        guard wait(for: page), let result = page.result else { throw Errno(rawValue: EDEADLK) }
        return try result.get()
    }

    /// As RELEASEDIR.
    public func beginCloseDirectory(
        _ handle: HandleNumber,
        then: @escaping @Sendable (Result<Void, Errno>) -> Void = { _ in }
    ) {
        guard let inode = books.withLock({ $0.directories.removeValue(forKey: handle) }) else {
            return then(.failure(.badHandle))
        }
        let _: Pending<Void> = begin("releasedir \(inode)", { _, _ in }, then: then) {
            operations.releaseDirectory(inode: inode, handle: handle, reply: $0)
        }
    }

    public func closeDirectory(_ handle: HandleNumber) throws(Errno) {
        try finished { beginCloseDirectory(handle, then: $0) }
    }

    /// All names of a directory, `.` and `..` left out, in pages of `limit`.
    public func names(
        _ inode: InodeNumber, limit: Int = 100, plus: Bool = true
    ) throws(Errno) -> [DirectoryName] {
        let handle = try openDirectory(inode).handle
        let result = Result { () throws(Errno) in
            var names: [DirectoryName] = []
            while true {
                let offset = names.last?.nextOffset ?? 0
                let page = try readDirectory(handle, offset: offset, limit: limit, plus: plus)
                if page.isEmpty { return names }
                names += page
            }
        }
        try closeDirectory(handle)
        return try result.get().filter { $0.text != "." && $0.text != ".." }
    }

    // MARK: Extended attributes

    public func extendedAttribute(
        _ inode: InodeNumber, _ name: String
    ) throws(Errno) -> [UInt8] {
        try value(beginExtendedAttribute(inode, name))
    }

    /// As GETXATTR.
    @discardableResult
    public func beginExtendedAttribute(
        _ inode: InodeNumber, _ name: String,
        then: @escaping @Sendable (Result<[UInt8], Errno>) -> Void = { _ in }
    ) -> Pending<[UInt8]> {
        begin("getxattr \(inode) \(name)", { _, _ in }, then: then) {
            operations.getExtendedAttribute(inode: inode, name: Array(name.utf8), reply: $0)
        }
    }

    public func extendedAttributes(_ inode: InodeNumber) throws(Errno) -> [String] {
        try value(
            begin("listxattr \(inode)", { _, _ in }, then: { _ in }) {
                operations.listExtendedAttributes(inode: inode, reply: $0)
            }
        ).map { String(decoding: $0, as: UTF8.self) }
    }
}

extension ReadAnswer {
    /// All bytes in order, copied.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        for piece in pieces {
            bytes += UnsafeRawBufferPointer(
                start: piece.buffer.pointer + piece.offset, count: piece.count)
        }
        return bytes
    }
}
