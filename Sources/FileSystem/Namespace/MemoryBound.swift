// The bound on what is remembered without being held.
//
// Listings that no inode of the kernel, open handle or request holds count as idle, by the share of
// their records that nobody holds. Beyond the limit the least recently used directories lose them:
// a directory without held children goes whole, one with few keeps only those. Inodes the kernel
// holds, and the records under them, always stay.

import Operations

extension NamespaceState {
    /// Brings a directory's share of idle bytes up to date.
    mutating func account(_ directory: Directory) {
        let listing = directory.listing
        let bytes = directory.bytes
        let idle =
            directory.isBusy
            ? 0
            : listing.count == 0 ? bytes : bytes / listing.count * (listing.count - listing.held)
        idleBytes += idle - (idleByDirectory.updateValue(idle, forKey: directory.number) ?? 0)
        if idle == 0 { idleByDirectory[directory.number] = nil }
    }

    /// Drops idle listings, least recently used first, down to nine tenths of the limit. Called at
    /// the end of each stay in the lock: nobody then holds on to a directory.
    mutating func shrink() {
        guard idleBytes > configuration.memoryLimit else { return }
        let goal = configuration.memoryLimit / 10 * 9
        let candidates = idleByDirectory.keys.compactMap { directories[$0] }
            .filter { !$0.isBusy }
            .sorted { ($0.lastUsed, $0.number) < ($1.lastUsed, $1.number) }
        for directory in candidates where idleBytes > goal {
            if directory.listing.held == 0 {
                drop(directory)
            } else if directory.listing.held * 2 < directory.listing.count {
                compact(directory)
            }
        }
    }

    /// Forgets a directory's state; its inode too, unless the kernel has it.
    private mutating func drop(_ directory: Directory) {
        let number = directory.number
        if directory.aheadBytes > 0 { endWalksAhead() }
        used(directory)
        idleBytes -= idleByDirectory.removeValue(forKey: number) ?? 0
        dropDetails(of: directory.listing)
        if number == Self.rootInode {
            directory.listing = Listing(id: nextListing)
            nextListing &+= 1
            return
        }
        directories[number] = nil
        walks.removeAll { $0.last == number }
        freeIfUnused(number)
    }

    /// Keeps only the records that are held.
    mutating func compact(_ directory: Directory) {
        let old = directory.listing
        let listing = Listing(id: nextListing)
        nextListing &+= 1
        for position in 0..<old.count {
            guard old.entries[position].flags.contains(.held) else { continue }
            if let finished = old.finishedAt, !old.entries[position].flags.contains(.single) {
                let checked = old.entries[position].checked
                let isNewer = checked != 0 && checkedNow &- checked < checkedNow &- stamp(finished)
                if !isNewer { old.entries[position].checked = stamp(finished) }
            }
            carry(Place(directory: directory, listing: old, position: position), to: listing)
        }
        dropDetails(of: old)
        listing.trim()
        listing.finishedAt = old.finishedAt
        directory.listing = listing
        idleBytes -= idleByDirectory.removeValue(forKey: directory.number) ?? 0
    }
}
