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
    let books = Mutex(Books())

    struct Books {
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

    func value<Value>(_ pending: Pending<Value>) throws(Errno) -> Value {
        guard wait(for: pending), let result = pending.result else {
            throw Errno(rawValue: EDEADLK)
        }
        return try result.get()
    }

    /// Waits for an operation that answers only whether it was done.
    func finished(
        _ begin: (@escaping @Sendable (Result<Void, Errno>) -> Void) -> Void
    ) throws(Errno) {
        let pending = Pending<Void>("close")
        begin { pending.take($0) }
        try value(pending)
    }

    func begin<Value: Sendable>(
        _ description: String, _ note: @escaping @Sendable (inout Books, Value) -> Void,
        then: @escaping @Sendable (Result<Value, Errno>) -> Void,
        ask: (Reply<Value>) -> Void
    ) -> Pending<Value> {
        let pending = pend(description, note, then: then)
        ask(pending.reply { $0 })
        return pending
    }

    /// Enters an operation in the books, until it is answered.
    func pend<Value: Sendable>(
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
            }, then: then, ask: { operations.lookup(parent: parent, name: name, reply: $0) })
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
        begin(
            "getattr \(inode)", { _, _ in }, then: then,
            ask: {
                operations.getAttributes(inode: inode, handle: handle, reply: $0)
            })
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
        begin(
            "getxattr \(inode) \(name)", { _, _ in }, then: then,
            ask: {
                operations.getExtendedAttribute(inode: inode, name: Array(name.utf8), reply: $0)
            })
    }

    public func extendedAttributes(_ inode: InodeNumber) throws(Errno) -> [String] {
        try value(
            begin(
                "listxattr \(inode)", { _, _ in }, then: { _ in },
                ask: {
                    operations.listExtendedAttributes(inode: inode, reply: $0)
                })
        ).map { String(decoding: $0, as: UTF8.self) }
    }
}
