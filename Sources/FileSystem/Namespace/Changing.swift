// Making, changing and removing names.
//
// A new record takes the place of a listed record of its name, if there was one, else the end of
// the listing's order: a walk under way meets each name once.

import Operations
import S3

extension NamespaceState {
    mutating func add(
        _ parent: InodeNumber, _ name: [UInt8], _ record: LocalRecord, holding: Bool, at time: Int64
    ) -> FileAttributes? {
        guard let directory = directory(parent) else { return nil }
        if let old = place(of: name, in: directory) { unname(old) }
        var entry = Entry(number: nextInode)
        nextInode += 1
        entry.flags = [.local, .known]
        if record.kind == .directory {
            entry.flags.insert(.directory)
        } else {
            entry.size = record.size
            entry.modified = record.modified
        }
        entry.checked = checkedNow
        let place = put(entry, name, in: directory)
        hold(place, lookups: holding ? 1 : 0)
        detail(place, Details(record, isUnpublished: true))
        force(name, isPresent: true, in: directory)
        directory.localModified = time
        if record.kind == .directory {
            // Nothing can be in it: no question needs to be asked.
            let made = makeDirectory(at: place)
            made.listing.isComplete = true
            made.listing.finishedAt = now
        }
        return attributes(place.listing, place.position)
    }

    /// Puts a record into a directory's order.
    mutating func put(_ entry: Entry, _ name: [UInt8], in directory: Directory) -> Place {
        let listing = directory.listing
        if let position = listing.find(name),
            listing.entries[position].flags.isDisjoint(with: [.single, .held])
        {
            var entry = entry
            let before = listing.entries[position]
            if !before.flags.contains(.moved), inodes[before.number] == nil {
                details[before.number] = nil
            }
            entry.nameStart = listing.entries[position].nameStart
            entry.nameCount = listing.entries[position].nameCount
            listing.entries[position] = entry
            return Place(directory: directory, listing: listing, position: position)
        }
        let position = listing.append(entry, name: name)
        return Place(directory: directory, listing: listing, position: position)
    }

    /// Makes a record part of the order of its directory's newest listing.
    @discardableResult
    mutating func adopt(_ place: Place) -> Place {
        let listing = place.directory.listing
        if place.listing === listing, !place.entry.flags.contains(.single) { return place }
        hold(place, lookups: 0)
        carry(place, to: listing, isListed: true)
        return self.place(of: place.entry.number) ?? place
    }

    @discardableResult
    mutating func change(
        _ number: InodeNumber, _ change: @Sendable (inout LocalRecord) -> Void
    ) -> FileAttributes? {
        if var inode = unlinked[number] {
            var record = LocalRecord(inode.attributes)
            change(&record)
            inode.attributes = record.attributes(inode: number, linkCount: 0)
            unlinked[number] = inode
            return inode.attributes
        }
        if number == Self.rootInode, let root = directories[number] {
            var record = LocalRecord(attributes(of: root))
            change(&record)
            details[number] = Details(record, isUnpublished: false)
            root.localModified = nil
            return attributes(of: root)
        }
        guard var place = place(of: number) else { return nil }
        hold(place, lookups: 0)
        let known = details[number]
        var record = LocalRecord(attributes(place.listing, place.position))
        change(&record)
        detail(place, Details(record, isUnpublished: known?.isUnpublished ?? false))
        if place.entry.isDirectory { directories[number]?.localModified = nil }
        place.listing.entries[place.position].flags.formUnion([.local, .known])
        place.listing.entries[place.position].flags.subtract([.gone, .suspect])
        place.listing.entries[place.position].checked = checkedNow
        if place.listing === place.directory.listing { place = adopt(place) }
        let name = Array(place.listing.name(place.position))
        force(name, isPresent: true, in: place.directory)
        return attributes(place.listing, place.position)
    }

    mutating func published(_ number: InodeNumber, _ version: ObjectVersion, settles: Bool) {
        if unlinked[number] != nil {
            unlinked[number]?.version = version
            return
        }
        guard let place = place(of: number) else { return }
        let isDirectory = place.entry.isDirectory
        let ownKey = key(of: place)
        var entry = place.entry
        entry.etag = CompactETag(version.etag, texts: &place.listing.texts)
        entry.size = isDirectory ? 0 : version.size
        entry.modified = version.modified
        entry.storageClass = index(of: version.storageClass)
        place.listing.entries[place.position] = entry
        if !isDirectory {
            storedAt[number] = version.key == ownKey ? nil : version.key
            owned.insert(number)
        }
        details[number]?.isUnpublished = false
        heads.remove(number)
        guard settles else { return }
        details[number]?.size = nil
        if let known = details[number] {
            let question = AttributeQuestion(key: version.key, etag: version.etag)
            let attributes = known.objectAttributes
            deferred.append { $0.memorized.note([question: attributes]) }
        }
        guard version.key == ownKey else { return }
        settle(place.directory.number, Array(place.listing.name(place.position)))
    }

    @discardableResult
    mutating func remove(
        _ parent: InodeNumber, _ name: [UInt8], at time: Int64
    ) -> InodeNumber? {
        guard let directory = directory(parent) else { return nil }
        let found = place(of: name, in: directory)
        let number = found.flatMap { $0.entry.flags.contains(.gone) ? nil : $0.entry.number }
        if let found { unname(found) }
        left(name, directory, at: time)
        return number
    }

    /// A name has left a directory, which goes on existing without it.
    mutating func left(_ name: [UInt8], _ directory: Directory, at time: Int64) {
        if directory.number != Self.rootInode { directory.isKept = true }
        directory.localModified = time
        force(name, isPresent: false, in: directory)
    }

    mutating func contents(of number: InodeNumber) -> DirectoryContents? {
        // Also of one that nobody has looked into yet.
        guard let directory = directory(number) else { return nil }
        var contents = DirectoryContents(
            hasLocalNames: false, removed: [], isKnownEmpty: false, isKnownFull: false)
        for (name, change) in directory.changes {
            if change.isPresent {
                contents.hasLocalNames = true
            } else {
                contents.removed.insert(name)
            }
        }
        if directory.wantedChildren > 0 { contents.hasLocalNames = true }
        var isFull = contents.hasLocalNames
        for listing in [directory.listing, directory.previous] where !isFull {
            guard let listing else { continue }
            for position in 0..<listing.count {
                let flags = listing.entries[position].flags
                if flags.isDisjoint(with: [.gone, .moved, .suspect]),
                    remaining(listing, position) != nil
                {
                    isFull = true
                    break
                }
            }
        }
        contents.isKnownFull = isFull
        contents.isKnownEmpty = !isFull && remaining(directory) != nil
        return contents
    }

    func marker(of number: InodeNumber) -> MarkerState {
        guard let place = place(of: number) else {
            guard number == Self.rootInode, let root = directories[number] else { return .unknown }
            if root.marker != Entry.unknownTime { return .present }
            return root.listing.isComplete ? .absent : .unknown
        }
        guard place.entry.isDirectory else { return .unknown }
        if details[number]?.isUnpublished == true { return .absent }
        if place.entry.modified != Entry.unknownTime { return .present }
        return place.entry.flags.contains(.known) && !place.entry.flags.contains(.local)
            ? .absent : .unknown
    }
}
