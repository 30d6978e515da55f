// Inodes without a name: removed or replaced here while the kernel or a writer still uses them.
//
// They are in no listing and in no table but this one, show a link count of 0, and are freed with
// the last lookup and pin.

import Operations
import S3

/// An inode whose name is gone.
struct UnlinkedInode {
    var attributes: FileAttributes
    var lookups: UInt64
    /// The last version in the bucket that was its own.
    var version: ObjectVersion?
    /// The path it had.
    var path: String
}

extension NamespaceState {
    /// Takes the name from a record; its inode lives on as long as somebody uses it.
    mutating func unname(_ place: Place) {
        let number = place.entry.number
        outdate(number)
        if place.entry.flags.contains(.held) { unlink(place) }
        details[number] = nil
        storedAt[number] = nil
        owned.remove(number)
        place.listing.entries[place.position].flags.subtract([.held, .local, .suspect, .known])
        place.listing.entries[place.position].flags.insert(.gone)
        // Should the bucket show the name again, it is another inode.
        place.listing.entries[place.position].number = nextInode
        nextInode += 1
        place.listing.entries[place.position].checked = checkedNow
        account(place.directory)
    }

    private mutating func unlink(_ place: Place) {
        let number = place.entry.number
        guard let inode = inodes[number] else { return }
        var attributes = attributes(place.listing, place.position)
        attributes.linkCount = 0
        let path = path(of: number)
        if let directory = directories[number] { dissolve(directory) }
        inodes.remove(number)
        heads.remove(number)
        place.listing.entries[place.position].flags.remove(.held)
        place.listing.held -= 1
        guard inode.lookups > 0 || pins[number] != nil else { return }
        unlinked[number] = UnlinkedInode(
            attributes: attributes, lookups: inode.lookups, version: version(at: place), path: path)
    }

    /// Ends the state of a directory that has lost its name, and of all that is known below it.
    private mutating func dissolve(_ directory: Directory) {
        let number = directory.number
        for listing in [directory.listing, directory.previous] {
            guard let listing else { continue }
            for position in 0..<listing.count {
                let place = Place(directory: directory, listing: listing, position: position)
                if place.entry.flags.contains(.held) {
                    unname(place)
                } else if !place.entry.flags.contains(.moved) {
                    details[place.entry.number] = nil
                }
            }
        }
        if directory.lister?.isAhead == true { aheadInFlight -= 1 }
        used(directory)
        directory.lister = nil
        let flights = directory.flights.values.sorted { $0.id < $1.id }
        let waiting = directory.waiters + flights.flatMap(\.waiters)
        directory.waiters = []
        directory.flights = [:]
        for waiter in waiting { answerAbsent(waiter, timeout: .zero) }
        for reader in directory.readers { deferred.append { _ in reader.reply.finish() } }
        directory.readers = []
        idleBytes -= idleByDirectory.removeValue(forKey: number) ?? 0
        directory.isKept = false
        directory.changes = [:]
        updateWanted(directory)
        directories[number] = nil
        walks.removeAll { $0.last == number }
    }

    /// Frees an inode without a name that nobody uses any more.
    mutating func freeIfUnlinked(_ number: InodeNumber, forgetting count: UInt64 = 0) -> Bool {
        guard let inode = unlinked[number] else { return false }
        let lookups = inode.lookups - min(count, inode.lookups)
        unlinked[number]?.lookups = lookups
        if lookups == 0, pins[number] == nil { unlinked[number] = nil }
        return true
    }
}
