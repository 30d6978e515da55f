// How records come and go: learned from listings and single answers, vanished, moved from an older
// listing to a newer one; and whom the kernel must hear about.
//
// The kernel is told only of names it may hold (`held`) whose ETag, size or kind changed or that
// vanished; never of unchanged ones.

import Operations
import S3

/// What an answer says about one name.
enum Finding {
    case directory(Marker)
    case file(size: Int64, etag: ETag, modified: Int64, storageClass: StorageClass)

    /// What is said of a directory's own object.
    enum Marker {
        case unknown, absent
        case object(etag: ETag, modified: Int64)

        init(_ object: ObjectSummary?) {
            self = object.map { .object(etag: $0.etag, modified: $0.modified) } ?? .absent
        }
    }

    var isDirectory: Bool { if case .directory = self { true } else { false } }

    init(_ object: ObjectSummary) {
        self = .file(
            size: object.size, etag: object.etag, modified: object.modified,
            storageClass: object.storageClass)
    }

    init(_ head: ObjectHead) {
        self = .file(
            size: head.size, etag: head.etag, modified: head.modified,
            storageClass: head.storageClass)
    }
}

extension NamespaceState {
    /// Takes a name from a listing's page.
    mutating func listed(_ name: [UInt8], _ finding: Finding, in directory: Directory) {
        let listing = directory.listing
        if let truth = localTruth(name, in: directory) {
            guard case .present(let place) = truth else { return }
            guard directory.changes[name] == nil, finding.isDirectory else {
                adopt(place)
                return
            }
            if let child = directories[place.entry.number], let lister = directory.lister {
                shown(child, request: lister.id)
            }
        }
        if let position = listing.find(name) {
            let flags = listing.entries[position].flags
            // Repeated by the server (or a second key below one `@pail-more` name).
            if flags.isDisjoint(with: [.single, .gone, .moved]) { return }
        }
        append(name, finding, single: false, in: directory)
    }

    /// Takes the answer to a single question.
    mutating func confirmed(
        _ name: [UInt8], _ finding: Finding, in directory: Directory
    ) -> Place {
        if let place = place(of: name, in: directory), place.listing === directory.listing,
            place.entry.isDirectory == finding.isDirectory
        {
            update(place, finding)
            return place
        }
        let position = append(name, finding, single: true, in: directory)
        directory.listing.entries[position].checked = checkedNow
        account(directory)
        return Place(directory: directory, listing: directory.listing, position: position)
    }

    /// Changes a record in place after a request confirmed it, and tells the kernel what changed.
    mutating func update(_ place: Place, _ finding: Finding) {
        var entry = place.entry
        let before = entry
        fill(&entry, finding, in: place.listing)
        entry.flags.remove(.suspect)
        entry.flags.remove(.gone)
        entry.checked = checkedNow
        place.listing.entries[place.position] = entry
        if before.flags.contains(.held),
            before.flags.contains(.gone) || before.etag != entry.etag || before.size != entry.size
        {
            tellChanged(entry.number, in: place.directory, name: place.listing.name(place.position))
        }
    }

    /// Marks a record as gone.
    mutating func vanished(_ place: Place) {
        let flags = place.entry.flags
        place.listing.entries[place.position].flags.remove(.suspect)
        place.listing.entries[place.position].flags.insert(.gone)
        place.listing.entries[place.position].checked = checkedNow
        if flags.contains(.held), !flags.contains(.gone) {
            tellChanged(
                place.entry.number, in: place.directory, name: place.listing.name(place.position))
        }
    }

    /// Moves what an older listing still holds over to the one that replaces it.
    ///
    /// - Parameter complete: names not taken over yet do not exist; else they are only unconfirmed.
    mutating func retirePrevious(of directory: Directory, complete: Bool) {
        guard let previous = directory.previous else { return }
        if previous.held > 0 {
            for position in 0..<previous.count {
                let entry = previous.entries[position]
                guard entry.flags.contains(.held) else { continue }
                let place = Place(directory: directory, listing: previous, position: position)
                if complete, isPresentHere(place) {
                    adopt(place)
                    continue
                }
                if complete { vanished(place) }
                carry(place, to: directory.listing)
            }
        }
        dropDetails(of: previous)
        directory.previous = nil
    }

    private func isPresentHere(_ place: Place) -> Bool {
        guard wanted > 0, !place.entry.flags.contains(.gone) else { return false }
        let name = Array(place.listing.name(place.position))
        guard case .present(let found) = localTruth(name, in: place.directory) else { return false }
        return found.entry.number == place.entry.number
    }

    /// Copies a held record to another listing, with its inode: as a single one, or into the order.
    mutating func carry(_ place: Place, to listing: Listing, isListed: Bool = false) {
        var entry = place.entry
        let name = place.listing.name(place.position)
        // A name that has another record by now keeps that one findable.
        let isNewest =
            isListed
            || listing.find(name) == nil && place.listing.find(name) == place.position
        entry.etag = entry.etag.carried(from: place.listing.texts, to: &listing.texts)
        if isListed { entry.flags.remove(.single) } else { entry.flags.insert(.single) }
        if details[entry.number] != nil { listing.detailed += 1 }
        if !isNewest { entry.flags.insert(.gone) }
        place.listing.entries[place.position].flags.subtract([.held, .local])
        place.listing.entries[place.position].flags.insert(.moved)
        place.listing.held -= 1
        let position = listing.append(entry, name: name, findable: isNewest)
        listing.held += 1
        inodes.update(entry.number) {
            $0.listing = listing.id
            $0.entry = UInt32(position)
        }
    }

    /// Tells the kernel to drop an inode's pages and attributes, and its name.
    func tellChanged(
        _ number: InodeNumber, in directory: Directory, name: ArraySlice<UInt8>
    ) {
        notifier?.invalidateInode(number, offset: 0, length: 0)
        notifier?.invalidateEntry(parent: directory.number, name: Array(name))
    }

    @discardableResult
    private mutating func append(
        _ name: [UInt8], _ finding: Finding, single: Bool, in directory: Directory
    ) -> Int {
        let listing = directory.listing
        let old = place(of: name, in: directory)
        var entry = Entry(number: 0)
        var changed = false
        if let old, old.entry.isDirectory == finding.isDirectory {
            entry.number = old.entry.number
            entry.modified = old.entry.modified
            entry.etag = old.entry.etag.carried(from: old.listing.texts, to: &listing.texts)
            entry.flags = old.entry.flags.intersection(.known)
            fill(&entry, finding, in: listing)
            if details[entry.number] != nil { listing.detailed += 1 }
            if old.entry.flags.contains(.held) {
                changed =
                    old.entry.flags.contains(.gone) || old.entry.size != entry.size
                    || old.entry.etag.etag(texts: old.listing.texts)
                        != entry.etag.etag(texts: listing.texts)
                entry.flags.insert(.held)
                old.listing.held -= 1
                listing.held += 1
            }
            old.listing.entries[old.position].flags.remove(.held)
            old.listing.entries[old.position].flags.insert(.moved)
        } else {
            // Another kind of file is another inode; the old one stays with whoever has it.
            if let old { vanished(old) }
            entry.number = nextInode
            nextInode += 1
            fill(&entry, finding, in: listing)
            if let old, single, old.listing === listing, old.entry.flags.contains(.held) {
                carry(old, to: listing)
            }
        }
        let position: Int
        if single, let slot = listing.find(name),
            listing.entries[slot].flags.isDisjoint(with: [.single, .held])
        {
            // A walk under way meets the name once, where it was.
            position = put(entry, name, in: directory).position
        } else {
            if single { entry.flags.insert(.single) }
            position = listing.append(entry, name: name)
        }
        if entry.flags.contains(.held) {
            inodes.update(entry.number) {
                $0.listing = listing.id
                $0.entry = UInt32(position)
            }
        }
        if changed { tellChanged(entry.number, in: directory, name: name[...]) }
        return position
    }

    private mutating func fill(_ entry: inout Entry, _ finding: Finding, in listing: Listing) {
        switch finding {
        case .directory(let marker):
            entry.flags.insert(.directory)
            fill(&entry, marker, in: listing)
        case .file(let size, let etag, let modified, let storageClass):
            let etag = CompactETag(etag, texts: &listing.texts)
            if entry.etag != etag {
                entry.flags.remove(.known)
                // Nobody will ask what the new version says.
                if !configuration.readsMetadata { details[entry.number] = nil }
            }
            entry.size = size
            entry.modified = modified
            entry.etag = etag
            entry.storageClass = index(of: storageClass)
        }
    }

    /// Takes what is said of a directory's own object.
    mutating func fill(_ entry: inout Entry, _ marker: Finding.Marker, in listing: Listing) {
        switch marker {
        case .unknown: break
        case .absent:
            if entry.modified != Entry.unknownTime { entry.flags.remove(.known) }
            entry.modified = Entry.unknownTime
            // Without a marker there is nothing to ask; what was set here stays.
            if details[entry.number] == nil { entry.flags.insert(.known) }
        case .object(let etag, let modified):
            let etag = CompactETag(etag, texts: &listing.texts)
            if entry.modified == Entry.unknownTime || entry.etag != etag {
                entry.flags.remove(.known)
            }
            entry.etag = etag
            entry.modified = modified
        }
    }

    /// The number of a storage class.
    mutating func index(of storageClass: StorageClass) -> UInt8 {
        if storageClasses[0] == storageClass { return 0 }
        if let index = storageClasses.firstIndex(of: storageClass) { return UInt8(index) }
        guard storageClasses.count < 255 else { return 0 }
        storageClasses.append(storageClass)
        return UInt8(storageClasses.count - 1)
    }
}
