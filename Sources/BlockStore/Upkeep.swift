// Accounts: keeps the index, once a second while there is something to tell, and before every claim.
//
// Runs on writers' threads and the scheduler's, never on a reader's. When the index fails (busy, disk
// full, damaged, removed) nothing more is written; it is tried again, ever more rarely, and what was
// not told is told then.
//
// Locks: `bookkeeping` over the index and eviction, then an object's, then leaves.

import GRDB
import Glibc
import Logging
import Scheduling
import Synchronization

/// The keeper of one directory's accounts in this process.
final class Upkeep: Sendable {
    let space = Space()
    let directory: CacheDirectory
    let registry: Registry
    let trouble: Trouble
    let scheduler: any Scheduler
    let limit: Int64
    let keepFree: Int64
    let owner: Owner
    private let logger: Logger

    private struct Touched {
        var objects: [StoredObject] = []
        var tickIsSet = false
        var ended = false
    }
    private let list = Mutex(Touched())

    /// What only the holder of `bookkeeping` sees.
    struct Books {
        var index: Index
        /// Of index.sqlite when it was opened.
        var inode: UInt64 = 0
        /// The index is damaged or was removed.
        var mustReopen = false
        var isDamaged = false
        var isClosed = false
        /// The last row of the index whose name the registry knows.
        var lastRow: Int64 = 0
        /// When dead owners were looked for last.
        var lastLook: Duration = .zero
        /// Dead owners whose last writes are being counted.
        var dying: Set<String> = []
    }
    private let bookkeeping: Mutex<Books>
    /// False while a lost index is made anew: nothing is written before.
    let isCounted = Atomic(true)

    init(
        directory: CacheDirectory, registry: Registry, trouble: Trouble,
        scheduler: any Scheduler, limit: Int64, keepFree: Int64, logger: Logger
    ) throws(BlockStoreError) {
        self.directory = directory
        self.registry = registry
        self.trouble = trouble
        self.scheduler = scheduler
        self.limit = limit
        self.keepFree = keepFree
        self.logger = logger
        let (index, isFresh) = try IndexRepair.open(directory, logger)
        owner = try Owner(directory: directory)
        do {
            var books = Books(index: index)
            try Self.start(&books, directory, registry, owner, limit, claimed: 0)
            bookkeeping = Mutex(books)
        } catch {
            throw BlockStoreError("cache directory \(directory.path): index.sqlite: \(error)")
        }
        isCounted.store(!isFresh || directory.isEmpty, ordering: .releasing)
    }

    /// Enters this process in an index just opened, and learns what it knows.
    private static func start(
        _ books: inout Books, _ directory: CacheDirectory, _ registry: Registry, _ owner: Owner,
        _ limit: Int64, claimed: Int64
    ) throws {
        books.inode = IndexRepair.inode(directory)
        books.lastRow = 0
        try books.index.enter(owner: owner.id, claimed: claimed)
        try books.index.set("limit", limit)
        try learn(registry, &books)
    }

    /// Begins what a process that died, or a lost index, left to do.
    func begin() {
        if !isCounted.load(ordering: .acquiring) {
            scheduler.run { [weak self] in self?.recount([]) }
        }
        _ = withBooks { try self.lookForDead(&$0) }
    }

    var unixMilliseconds: Int64 {
        let (seconds, attoseconds) = scheduler.unixTime.components
        return seconds * 1000 + attoseconds / 1_000_000_000_000_000
    }

    /// Learns which objects came to the index since the last time, from any process.
    private static func learn(_ registry: Registry, _ books: inout Books) throws {
        while true {
            let (names, last) = try books.index.names(after: books.lastRow, count: 10_000)
            guard last > books.lastRow else { return }
            registry.noteExist(names)
            books.lastRow = last
        }
    }

    // MARK: The index

    /// Does something with the index; nil when that fails, which is said and tried again later.
    func withBooks<Result>(_ work: (inout Books) throws -> Result) -> Result? {
        bookkeeping.withLock { books in
            if books.isClosed { return nil }
            do {
                if books.mustReopen { try reopen(&books) }
                let result = try work(&books)
                trouble.indexWorks()
                return result
            } catch {
                if let error = error as? DatabaseError {
                    switch error.resultCode {
                    case .SQLITE_CORRUPT, .SQLITE_NOTADB:
                        books.isDamaged = true
                        books.mustReopen = true
                    case .SQLITE_ERROR, .SQLITE_IOERR, .SQLITE_CANTOPEN, .SQLITE_READONLY,
                        .SQLITE_MISUSE:
                        books.mustReopen = true
                    default: break
                    }
                }
                trouble.indexFailed(error)
                return nil
            }
        }
    }

    /// Opens the index again. A damaged one is moved aside, unless another process has done so.
    private func reopen(_ books: inout Books) throws {
        // First: the last close of a file that was moved would remove its successor's log.
        books.index.close()
        if books.isDamaged, IndexRepair.inode(directory) == books.inode {
            IndexRepair.setAside(directory)
        }
        let (index, isFresh) = try IndexRepair.open(directory, logger)
        books.index = index
        try Self.start(&books, directory, registry, owner, limit, claimed: space.claimed)
        books.mustReopen = false
        books.isDamaged = false
        guard isFresh, !directory.isEmpty else { return }
        isCounted.store(false, ordering: .releasing)
        scheduler.run { [weak self] in self?.recount([]) }
    }

    /// An object was used or written; called under its lock.
    func touched(_ object: StoredObject) {
        let mustSet = list.withLock { list in
            guard !list.ended else { return false }
            list.objects.append(object)
            guard !list.tickIsSet else { return false }
            list.tickIsSet = true
            return true
        }
        if mustSet { setTick() }
    }

    private func setTick() {
        scheduler.after(.seconds(1)) { [weak self] in self?.tick() }
    }

    private func tick() {
        space.giveBackWhenIdle()
        registry.closeSome()
        if trouble.allowsIndex {
            _ = withBooks { books in
                try flush(&books)
                try lookForDead(&books)
            }
        } else {
            keepOnlyWritten()
        }
        let again = list.withLock { list in
            list.tickIsSet = !list.ended && (space.holdsClaim || !list.objects.isEmpty)
            return list.tickIsSet
        }
        if again { setTick() }
    }

    /// The index fails for long: uses are forgotten, so that the list does not grow.
    private func keepOnlyWritten() {
        for object in takeTouched() {
            let isWritten = object.state.withLock { state in
                if !state.wroteSinceFlush { state.isTouched = false }
                return state.wroteSinceFlush
            }
            if isWritten { list.withLock { $0.objects.append(object) } }
        }
    }

    private func takeTouched() -> [StoredObject] {
        list.withLock { list in
            defer { list.objects = [] }
            return list.objects
        }
    }

    /// Tells the index what was used and written, and learns what others wrote.
    func flush() { _ = withBooks { try flush(&$0) } }

    func flush(_ books: inout Books) throws {
        // In this order: see Index.flush.
        let claimed = space.claimed
        let objects = takeTouched()
        let now = unixMilliseconds
        let wrote = objects.map { object in
            object.state.withLock { state in
                state.isTouched = false
                defer { state.wroteSinceFlush = false }
                return state.wroteSinceFlush
            }
        }
        do {
            try books.index.flush(owner: owner.id, claimed: claimed) {
                zip(objects, wrote).compactMap { object, wrote in
                    change(object, wrote, now)
                }
            }
        } catch {
            for (object, wrote) in zip(objects, wrote) where wrote {
                object.state.withLock { state in
                    state.wroteSinceFlush = true
                    object.touch(&state)
                }
            }
            throw error
        }
        try Self.learn(registry, &books)
    }

    /// What the index should say of an object; nil when another process has removed it.
    private func change(_ object: StoredObject, _ wrote: Bool, _ now: Int64) -> Index.Change? {
        var change = Index.Change(
            name: object.name, identity: object.identity, bytes: nil, used: now)
        guard wrote else { return change }
        let files = object.state.withLock { $0.files }
        if let files, files.cutIfRemoved() {
            object.state.withLock { if $0.files === files { object.abandonFiles(&$0) } }
            return nil
        }
        let bytes = files?.bytesOnDisk ?? directory.bytesOnDisk(object.name)
        guard bytes > 0 else { return nil }
        change.bytes = bytes
        return change
    }

    var hasEnded: Bool { list.withLock { $0.ended } }

    /// The last flush of this process.
    func end() {
        list.withLock { $0.ended = true }
        // A flush that fails leaves the owner behind: the next process finds it dead and recounts.
        _ = withBooks { books in
            try flush(&books)
            try books.index.removeOwner(owner.id)
            owner.leave()
        }
        bookkeeping.withLock { books in
            books.isClosed = true
            books.index.close()
        }
    }
}
