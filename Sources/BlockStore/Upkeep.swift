// Accounts and eviction: claims space before a write, keeps the index, makes room at the limit.
//
// Runs on writers' threads and the scheduler's, never on a reader's. The index is told once a second
// while there is something to tell, and before every claim.
//
// Locks: `bookkeeping` over the index and eviction, then an object's state, then leaves.

import Glibc
import Logging
import Scheduling
import Synchronization

/// The keeper of one directory's accounts in this process.
final class Upkeep: Sendable {
    let space = Space()
    private let directory: CacheDirectory
    private let registry: Registry
    private let trouble: Trouble
    private let scheduler: any Scheduler
    private let limit: Int64
    private let keepFree: Int64
    private let index: Index
    private let owner: Owner

    private struct Touched {
        var objects: [StoredObject] = []
        var tickIsSet = false
        var ended = false
    }
    private let list = Mutex(Touched())
    private let bookkeeping = Mutex(Books())
    /// False until a needed recount is through: nothing is written before.
    private let isCounted = Atomic(true)
    private let mustCount: Bool

    private struct Books {
        /// The last row of the index whose name the registry knows.
        var lastRow: Int64 = 0
    }

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
        let (index, isFresh) = try IndexRepair.open(directory, logger)
        self.index = index
        owner = try Owner(directory: directory)
        do {
            let died = try IndexRepair.removeDeadOwners(index, directory)
            mustCount = died || isFresh
            try index.flush(owner: owner.id, claimed: 0, changes: [])
            try index.set("limit", limit)
            var books = Books()
            try Self.learn(index, registry, &books)
            bookkeeping.withLock { $0 = books }
        } catch {
            throw BlockStoreError("cache directory \(directory.path): index.sqlite: \(error)")
        }
    }

    /// Starts the recount if one is due.
    func begin(_ store: DiskBlockStore) {
        guard mustCount else { return }
        isCounted.store(false, ordering: .releasing)
        scheduler.run { [weak store] in
            guard let store else { return }
            store.upkeep.recount()
        }
    }

    private func recount() {
        bookkeeping.withLock { _ in
            do {
                let names = try IndexRepair.recount(index, directory, now: unixMilliseconds)
                registry.noteExist(names)
                isCounted.store(true, ordering: .releasing)
            } catch { trouble.indexFailed(error) }
        }
    }

    private var unixMilliseconds: Int64 {
        let (seconds, attoseconds) = scheduler.unixTime.components
        return seconds * 1000 + attoseconds / 1_000_000_000_000_000
    }

    /// Learns which objects came to the index since the last time, from any process.
    private static func learn(_ index: Index, _ registry: Registry, _ books: inout Books) throws {
        while true {
            let (rows, last) = try index.rows(after: books.lastRow, count: 10_000)
            guard !rows.isEmpty else { return }
            registry.noteExist(rows.map(\.name))
            books.lastRow = last
        }
    }

    // MARK: The index

    /// An object was used or written; called under its lock.
    func touched(_ object: StoredObject) {
        let mustSet = list.withLock { list in
            list.objects.append(object)
            defer { list.tickIsSet = true }
            return !list.tickIsSet && !list.ended
        }
        if mustSet { setTick() }
    }

    private func setTick() {
        scheduler.after(.seconds(1)) { [weak self] in self?.tick() }
    }

    private func tick() {
        space.giveBackWhenIdle()
        flush()
        let again = list.withLock { list in
            list.tickIsSet = !list.ended && (space.holdsClaim || !list.objects.isEmpty)
            return list.tickIsSet
        }
        if again { setTick() }
    }

    /// Tells the index what was used and written, and learns what others wrote.
    func flush() {
        bookkeeping.withLock { books in
            do {
                try flush(&books)
            } catch { trouble.indexFailed(error) }
        }
    }

    private func flush(_ books: inout Books) throws {
        let objects = list.withLock { list in
            defer { list.objects = [] }
            return list.objects
        }
        let now = unixMilliseconds
        let changes = objects.map { object in
            object.state.withLock { state in
                defer {
                    state.isTouched = false
                    state.wroteSinceFlush = false
                }
                if state.wroteSinceFlush, state.files?.isRemoved == true {
                    object.abandonFiles(&state)
                }
                return Index.Change(
                    name: object.name, identity: object.identity,
                    bytes: state.wroteSinceFlush ? state.bytes : nil, used: now)
            }
        }
        try index.flush(owner: owner.id, claimed: space.claimed, changes: changes)
        try Self.learn(index, registry, &books)
    }

    /// The last flush of this process.
    func end() {
        list.withLock { $0.ended = true }
        flush()
        bookkeeping.withLock { _ in
            try? index.removeOwner(owner.id)
            owner.leave()
        }
    }

    // MARK: Room

    /// Reserves `bytes` for a write, claiming space and evicting when need be.
    func reserve(_ bytes: Int64) -> Bool {
        guard isCounted.load(ordering: .acquiring) else { return false }
        if space.reserve(bytes) { return true }
        let granted = bookkeeping.withLock { books in
            do {
                return try claim(bytes, &books)
            } catch {
                trouble.indexFailed(error)
                return false
            }
        }
        return granted && space.reserve(bytes)
    }

    private func claim(_ bytes: Int64, _ books: inout Books) throws -> Bool {
        let want = max(bytes, min(max(limit / 16, 1 << 20), 64 << 20))
        for _ in 0..<8 {
            try flush(&books)
            let totals = try index.totals()
            var room = limit - totals.all
            if let free = directory.freeBytes() {
                room = min(room, free - keepFree - totals.claimed)
            }
            if room >= bytes {
                let more = min(room, want)
                let old = space.claimed
                guard try index.claim(owner: owner.id, from: old, to: old + more, limit: limit)
                else { continue }
                space.grant(more)
                return true
            }
            guard try evict(want - room) > 0 else { break }
        }
        trouble.noRoom()
        return false
    }

    /// Frees at least `goal` bytes if it can, beginning with the objects longest unused.
    private func evict(_ goal: Int64) throws -> Int64 {
        var freed: Int64 = 0
        while freed < goal {
            let rows = try index.oldest(64)
            guard !rows.isEmpty else { break }
            var gone: [ObjectName] = []
            var told: [Index.Change] = []
            for row in rows where freed < goal {
                if row.bytes > limit / 8, let object = registry.inUse(row.name) {
                    let part = object.evictBlocks(goal - freed)
                    if part > 0 {
                        freed += part
                        told.append(
                            Index.Change(
                                name: row.name, identity: row.identity,
                                bytes: directory.bytesOnDisk(row.name), used: 0))
                        continue
                    }
                }
                freed += max(directory.bytesOnDisk(row.name), 1)
                remove(row.name)
                gone.append(row.name)
            }
            try index.remove(gone)
            try index.flush(owner: owner.id, claimed: space.claimed, changes: told)
            if gone.isEmpty { break }
        }
        return freed
    }

    /// Removes a whole object; its readers see misses.
    private func remove(_ name: ObjectName) {
        directory.removeObject(name)
        registry.noteGone(name)
        guard let object = registry.inUse(name) else { return }
        object.state.withLock { object.abandonFiles(&$0) }
    }
}
