// Renaming: a record moves to another name, with its inode and all that lies below it.
//
// Keys below a directory are made from its prefix, so renaming one changes the prefixes of the
// directories with state below it; their listings and changes stay as they are. What is under way
// for the old prefixes is asked again for the new ones: a listing begins anew and adds what it has
// not got yet, so positions that readers hold stay true.

import Operations
import S3

extension NamespaceState {
    mutating func move(
        _ parent: InodeNumber, _ name: [UInt8], _ newParent: InodeNumber, _ newName: [UInt8],
        at time: Int64
    ) -> Result<Moved, Errno> {
        guard let source = directory(parent), let target = directory(newParent),
            let place = place(of: name, in: source), !place.entry.flags.contains(.gone)
        else { return .failure(.noEntry) }
        let number = place.entry.number
        if source === target, name == newName { return .success(Moved(inode: number)) }
        if place.entry.isDirectory, isInside(newParent, number) { return .failure(.invalid) }
        var replaced: InodeNumber?
        if let old = self.place(of: newName, in: target) {
            if !old.entry.flags.contains(.gone) { replaced = old.entry.number }
            // What lies below a directory in the way is gone with it, the source never.
            if isInside(parent, old.entry.number) { return .failure(.notEmpty) }
            unname(old)
        }
        if !place.entry.isDirectory, details[number]?.isUnpublished != true,
            storedAt[number] == nil
        {
            storedAt[number] = key(of: place)
        }
        hold(place, lookups: 0)
        var entry = place.entry
        entry.etag = entry.etag.carried(
            from: place.listing.texts, to: &target.listing.texts)
        entry.flags.subtract([.single, .suspect])
        entry.flags.insert(.local)
        entry.checked = checkedNow
        place.listing.entries[place.position].flags.subtract([.held, .local, .suspect])
        // The number is somewhere else now.
        place.listing.entries[place.position].flags.formUnion([.gone, .moved])
        place.listing.entries[place.position].checked = checkedNow
        place.listing.held -= 1
        let new = put(entry, newName, in: target)
        target.listing.held += 1
        if details[number] != nil { target.listing.detailed += 1 }
        inodes.update(number) {
            $0.parent = target.number
            $0.listing = target.listing.id
            $0.entry = UInt32(new.position)
        }
        outdate(number)
        left(name, source, at: time)
        force(newName, isPresent: true, in: target)
        target.localModified = time
        if entry.isDirectory { relocate(number) }
        return .success(Moved(inode: number, replaced: replaced))
    }

    private mutating func reparent(_ directory: Directory, to parent: Directory) {
        if directory.isWanted, let former = directories[directory.parent] {
            former.wantedChildren -= 1
            updateWanted(former)
            parent.wantedChildren += 1
            updateWanted(parent)
        }
        directory.parent = parent.number
    }

    /// Brings the prefixes below a renamed directory up to date.
    private mutating func relocate(_ number: InodeNumber) {
        guard directories[number] != nil else { return }
        let children = Dictionary(grouping: directories.values, by: \.parent)
        var open = [number]
        var moved: Set<InodeNumber> = []
        while let next = open.popLast() {
            guard let directory = directories[next], let place = place(of: next) else { continue }
            moved.insert(next)
            if directory.parent != place.directory.number {
                reparent(directory, to: place.directory)
            }
            (directory.prefix, directory.spelt) = prefix(at: place)
            directory.changedAt = nextRequest
            for name in directory.flights.keys { directory.flights[name]?.isOutdated = true }
            if directory.lister != nil { restartListing(of: directory) }
            open += children[next]?.map(\.number).filter { $0 != next }.sorted() ?? []
        }
        for (asked, learn) in learning where moved.contains(learn.directory) {
            learning[asked]?.isOutdated = true
        }
        heads.outdateAll()
    }
}
