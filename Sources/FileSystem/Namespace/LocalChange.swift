// Changes in force: what is true here of names, whatever answers say that were asked for before.
//
// A change is kept by name in its directory. While it is unsettled it wins over every answer. Once
// settled, only what was asked for before can contradict it: a listing under way gives way to it to
// its end, then the change is dropped; a flight under way is marked as outdated and asked again. So
// a settled change lives no longer than the listing that was under way, and a request made after it
// needs no comparison of times: it shows the change.
//
// A directory in which something was removed, or with changes in force, goes on existing though the
// bucket may show nothing under its prefix, and so do those above it (`isWanted`).

import Operations
import S3

/// A change of one name.
struct LocalChange: Equatable {
    /// The name exists (its newest record says as what); else it does not.
    var isPresent: Bool
    /// The bucket shows it to whoever asks now.
    var isSettled = false
}

extension NamespaceState {
    /// What wins over an answer that was asked for before.
    enum LocalTruth {
        case present(Place)
        case absent
    }

    /// What is true here of a name; nil when the bucket rules.
    func localTruth(_ name: [UInt8], in directory: Directory) -> LocalTruth? {
        guard wanted > 0 else { return nil }
        if let change = directory.changes[name] {
            guard change.isPresent else { return .absent }
            if let place = place(of: name, in: directory), !place.entry.flags.contains(.gone) {
                return .present(place)
            }
            return .absent
        }
        if let place = place(of: name, in: directory), isWanted(place) { return .present(place) }
        return nil
    }

    /// Whether a record is a directory that must go on existing for what is in it, or was.
    func isWanted(_ place: Place) -> Bool {
        guard wanted > 0, place.entry.isDirectory, !place.entry.flags.contains(.gone) else {
            return false
        }
        return directories[place.entry.number]?.isWanted == true
    }

    /// Whether a directory is another one or lies below it.
    func isInside(_ number: InodeNumber, _ other: InodeNumber) -> Bool {
        var number = number
        while number != other {
            guard number != Self.rootInode, let inode = inodes[number] else { return false }
            number = inode.parent
        }
        return true
    }

    /// Puts a change of a name into force, unsettled.
    mutating func force(_ name: [UInt8], isPresent: Bool, in directory: Directory) {
        directory.changes[name] = LocalChange(isPresent: isPresent)
        touch(name, in: directory)
        updateWanted(directory)
        account(directory)
    }

    /// Answers under way about a name are outdated; so are the kernel's names of the directory.
    private mutating func touch(_ name: [UInt8], in directory: Directory) {
        directory.changedAt = nextRequest
        directory.flights[name]?.isOutdated = true
        directory.served = 0
        if let number = place(of: name, in: directory)?.entry.number { outdate(number) }
    }

    /// Answers under way about an inode are not to be believed.
    mutating func outdate(_ number: InodeNumber) {
        heads.outdate(number)
        learning[number]?.isOutdated = true
    }

    /// Brings up to date whether a directory and those above it are wanted.
    mutating func updateWanted(_ directory: Directory) {
        var directory = directory
        while true {
            let isWanted =
                directory.isKept || !directory.changes.isEmpty || directory.wantedChildren > 0
            guard isWanted != directory.isWanted else { return }
            directory.isWanted = isWanted
            wanted += isWanted ? 1 : -1
            guard directory.number != Self.rootInode, let parent = directories[directory.parent]
            else { return }
            parent.wantedChildren += isWanted ? 1 : -1
            directory = parent
        }
    }

    // MARK: Settling

    mutating func settle(_ parent: InodeNumber, _ name: [UInt8]) {
        guard let directory = directories[parent] else { return }
        let found = place(of: name, in: directory)
        let isAlive = found.map { !$0.entry.flags.contains(.gone) } ?? false
        // Without a change: a marker or copy was made of what the bucket had shown.
        guard directory.changes[name] != nil || isAlive else { return }
        let isPresent = directory.changes[name]?.isPresent ?? true
        touch(name, in: directory)
        if let found {
            found.listing.entries[found.position].checked = checkedNow
            found.listing.entries[found.position].flags.subtract([.local, .suspect])
            if isPresent { settled(found) }
        }
        directory.changes[name] = LocalChange(isPresent: isPresent, isSettled: true)
        if directory.lister == nil { dropSettled(directory) }
        account(directory)
    }

    /// The bucket has what a record says.
    private mutating func settled(_ place: Place) {
        let number = place.entry.number
        storedAt[number] = nil
        if details[number]?.isUnpublished == false { details[number]?.size = nil }
        guard place.entry.isDirectory else { return }
        let state = directories[number]
        if details[number]?.isUnpublished == true || state?.isKept == true {
            // Its marker was put.
            let modified = details[number]?.modified ?? state?.localModified
            place.listing.entries[place.position].modified = modified ?? configuration.mountTime
        }
        details[number]?.isUnpublished = false
        if let state {
            state.isKept = false
            updateWanted(state)
        }
    }

    /// Drops the settled changes of a directory once no listing is under way that was asked for
    /// before them.
    mutating func dropSettled(_ directory: Directory) {
        guard !directory.changes.isEmpty else { return }
        for (name, change) in directory.changes where change.isSettled {
            directory.changes[name] = nil
            if change.isPresent, let place = place(of: name, in: directory) {
                freeIfUnused(place.entry.number)
            }
        }
        updateWanted(directory)
    }

    /// An answer asked for after all changes in a directory shows that the bucket has the
    /// directory: it needs no keeping.
    mutating func shown(_ directory: Directory, request: UInt64) {
        guard directory.isKept, directory.changes.isEmpty, request >= directory.changedAt else {
            return
        }
        directory.isKept = false
        updateWanted(directory)
        account(directory)
    }

    mutating func withdraw(_ parent: InodeNumber, _ name: [UInt8]) {
        guard let directory = directories[parent], directory.changes[name] != nil else { return }
        touch(name, in: directory)
        directory.changes[name] = nil
        directory.listing.isDoubted = true
        if let place = place(of: name, in: directory) {
            let number = place.entry.number
            place.listing.entries[place.position].flags.subtract([.local, .known])
            if details[number]?.isUnpublished == true {
                unname(place)
            } else {
                details[number] = nil
                storedAt[number] = nil
            }
            place.listing.entries[place.position].flags.insert(.suspect)
            tellChanged(number, in: directory, name: name[...])
            freeIfUnused(number)
        } else {
            var entry = Entry(number: nextInode)
            nextInode += 1
            entry.flags = [.single, .gone, .suspect]
            directory.listing.append(entry, name: name)
        }
        updateWanted(directory)
        account(directory)
    }

    func isSettled(_ number: InodeNumber) -> Bool {
        directories[number]?.changes.values.allSatisfy(\.isSettled) ?? true
    }

    // MARK: Keeping

    mutating func pin(_ number: InodeNumber) {
        if unlinked[number] == nil, inodes[number] == nil { return }
        pins[number, default: 0] += 1
    }

    mutating func unpin(_ number: InodeNumber) {
        guard let count = pins[number] else { return }
        pins[number] = count > 1 ? count - 1 : nil
        if count == 1 { freeIfUnused(number) }
    }

    /// Whether something here needs an inode, whatever the kernel has forgotten.
    func isNeeded(_ number: InodeNumber) -> Bool {
        if pins[number] != nil { return true }
        guard wanted > 0, let place = place(of: number) else { return false }
        if place.entry.flags.contains(.local) { return true }
        guard !place.directory.changes.isEmpty, !place.entry.flags.contains(.gone) else {
            return false
        }
        return place.directory.changes[Array(place.listing.name(place.position))]?.isPresent == true
    }
}
