// Room: claims space before a write, evicts at the limit, and looks after processes that died.

import Glibc
import Scheduling
import Synchronization

extension Upkeep {
    /// How often dead owners are looked for, and whether the index is still the one we opened.
    private static let lookEvery = Duration.seconds(10)

    /// Reserves `bytes` for a write, claiming space and evicting when need be.
    func reserve(_ bytes: Int64) -> Bool {
        guard isCounted.load(ordering: .acquiring) else { return false }
        if space.reserve(bytes) { return true }
        guard trouble.allowsClaims else { return false }
        let granted = withBooks { books in
            // Another writer may have claimed enough while this one waited.
            if space.reserve(bytes) { return true }
            return try claim(bytes, &books)
        }
        return granted ?? false
    }

    /// Claims space in the index and reserves `bytes` of it.
    private func claim(_ bytes: Int64, _ books: inout Books) throws -> Bool {
        let want = max(bytes, min(max(limit / 16, 1 << 20), 64 << 20))
        for _ in 0..<8 {
            try flush(&books)
            let totals = try books.index.totals()
            var room = limit - totals.all
            if let free = directory.freeBytes() {
                room = min(room, free - keepFree - totals.claimed)
            }
            if room >= bytes {
                let more = min(room, want)
                guard try books.index.claim(owner: owner.id, more: more, limit: limit)
                else { continue }
                space.grant(more, reserving: bytes)
                trouble.foundRoom()
                return true
            }
            guard try evict(want - room, &books) > 0 else { break }
        }
        // A process that died may hold what is missing.
        try lookForDead(&books)
        trouble.noRoom()
        return false
    }

    /// Frees at least `goal` bytes if it can, beginning with the objects longest unused.
    private func evict(_ goal: Int64, _ books: inout Books) throws -> Int64 {
        var freed: Int64 = 0
        while freed < goal {
            let more = try books.index.edit { editor in
                try evictSome(goal - freed, editor)
            }
            freed += more.bytes
            if more.objects == 0 { break }
        }
        return freed
    }

    /// One step of that, of at most 64 objects.
    ///
    /// - Returns: bytes freed, and objects that are gone altogether.
    private func evictSome(_ goal: Int64, _ editor: Index.Editor) throws
        -> (bytes: Int64, objects: Int)
    {
        var freed: Int64 = 0
        var gone = 0
        for row in try editor.oldest(64) where freed < goal {
            if row.bytes > limit / 8, !MapFormat.isSmall(row.identity),
                let object = registry.inUse(row.name)
            {
                let part = object.evictBlocks(goal - freed)
                if part > 0 {
                    freed += part
                    try editor.apply(
                        Index.Change(
                            name: row.name, identity: row.identity,
                            bytes: directory.bytesOnDisk(row.name), used: 0))
                    continue
                }
            }
            freed += max(row.bytes, 1)
            remove(row.name)
            try editor.remove(row.name)
            gone += 1
        }
        return (freed, gone)
    }

    /// Removes a whole object; its readers see misses.
    private func remove(_ name: ObjectName) {
        registry.noteGone(name)
        guard let object = registry.inUse(name) else { return directory.removeObject(name) }
        object.disk.withLock { _ in
            directory.removeObject(name)
            object.state.withLock { object.abandonFiles(&$0) }
        }
        registry.closed(object)
    }

    // MARK: Processes that died

    /// Looks for dead owners when that is due. What they wrote last is counted in the background,
    /// and their claims stand till then.
    func lookForDead(_ books: inout Books) throws {
        guard scheduler.now >= books.lastLook + Self.lookEvery || books.lastLook == .zero else {
            return
        }
        books.lastLook = scheduler.now
        if IndexRepair.inode(directory) != books.inode {
            books.mustReopen = true
            return
        }
        let dead = try IndexRepair.deadOwners(books.index, directory).filter {
            $0.id != owner.id && !books.dying.contains($0.id)
        }
        guard !dead.isEmpty else { return }
        books.dying.formUnion(dead.map(\.id))
        scheduler.run { [weak self] in self?.recount(dead) }
    }

    /// Makes the index say what is on disk, a folder at a time so that claims need not wait, then
    /// voids the claims of `dead`.
    func recount(_ dead: [Owner.Dead]) {
        for folder in UInt8.min ... .max {
            if hasEnded { return }
            let names = withBooks { books in
                try IndexRepair.recount(folder, books.index, directory, now: unixMilliseconds)
            }
            guard let names else {
                scheduler.after(.seconds(5)) { [weak self] in self?.recount(dead) }
                return
            }
            registry.noteExist(names)
        }
        _ = withBooks { books in
            books.dying.subtract(dead.map(\.id))
            try IndexRepair.bury(dead, books.index, directory)
        }
        isCounted.store(true, ordering: .releasing)
    }
}
