// What must hold between the namespace's tables at any time the lock is free. For tests.

import Operations
import S3

extension NamespaceState {
    /// The rules that are broken, in words; empty when all is well.
    func brokenInvariants() -> [String] {
        var broken: [String] = []
        var held = 1
        for (number, directory) in directories {
            if number != directory.number { broken.append("directory \(number) is misfiled") }
            if number != Self.rootInode, place(of: number) == nil {
                broken.append("directory \(number) has no record")
            }
            if directory.previous != nil, directory.lister == nil {
                broken.append("directory \(number) keeps an old listing")
            }
            for listing in [directory.listing, directory.previous] {
                guard let listing else { continue }
                var count = 0
                for position in 0..<listing.count
                where listing.entries[position].flags.contains(.held) {
                    count += 1
                    let entry = listing.entries[position]
                    guard let inode = inodes[entry.number] else {
                        broken.append("\(entry.number) is held, but not in the table")
                        continue
                    }
                    if inode.parent != number || inode.listing != listing.id
                        || Int(inode.entry) != position
                    {
                        broken.append("inode \(entry.number) points elsewhere")
                    }
                    if inode.lookups == 0, directories[entry.number] == nil,
                        !isNeeded(entry.number)
                    {
                        broken.append("inode \(entry.number) is kept for nobody")
                    }
                }
                if count != listing.held { broken.append("directory \(number) counts wrongly") }
                held += count
            }
        }
        if held != inodes.count { broken.append("\(inodes.count) inodes, \(held) held records") }
        if idleByDirectory.values.reduce(0, +) != idleBytes { broken.append("idle bytes") }
        if directories.values.reduce(0, { $0 + $1.aheadBytes }) != aheadBytes {
            broken.append("bytes ahead")
        }
        if directories.values.count(where: { $0.lister?.isAhead ?? false }) != aheadInFlight {
            broken.append("listings ahead in flight")
        }
        for (handle, open) in handles
        where directories[open.directory] == nil && unlinked[open.directory] == nil {
            broken.append("handle \(handle) has no directory")
        }
        return (broken + brokenChanges() + brokenDetails()).sorted()
    }

    /// The rules of changes made here.
    private func brokenChanges() -> [String] {
        var broken: [String] = []
        var children: [InodeNumber: Int] = [:]
        for directory in directories.values where directory.isWanted {
            if directory.number != Self.rootInode { children[directory.parent, default: 0] += 1 }
        }
        for directory in directories.values {
            let count = children[directory.number] ?? 0
            let isWanted = directory.isKept || !directory.changes.isEmpty || count > 0
            if count != directory.wantedChildren || isWanted != directory.isWanted {
                broken.append("directory \(directory.number) is wanted wrongly")
            }
        }
        if directories.values.count(where: \.isWanted) != wanted { broken.append("wanted") }
        for directory in directories.values {
            for (name, change) in directory.changes {
                let place = place(of: name, in: directory)
                let isAlive = place.map { !$0.entry.flags.contains(.gone) } ?? false
                if !change.isSettled, change.isPresent != isAlive {
                    broken.append("a change of \(ObjectKey(name)) is not shown")
                }
                if change.isSettled, directory.lister == nil {
                    broken.append("a settled change of \(ObjectKey(name)) stays")
                }
                if !change.isSettled, change.isPresent,
                    place?.entry.flags.isSuperset(of: [.local, .held]) != true
                {
                    broken.append("the change of \(ObjectKey(name)) is not held")
                }
            }
            for listing in [directory.listing, directory.previous] {
                guard let listing else { continue }
                for position in 0..<listing.count
                where listing.entries[position].flags.contains(.local) {
                    let change = directory.changes[Array(listing.name(position))]
                    if change?.isSettled != false || change?.isPresent != true {
                        broken.append("a local record without a change")
                    }
                }
            }
        }
        return broken
    }

    private func brokenDetails() -> [String] {
        var broken: [String] = []
        for (number, inode) in unlinked {
            if inode.lookups == 0, pins[number] == nil { broken.append("\(number) is unlinked") }
            if inodes[number] != nil { broken.append("\(number) is unlinked and named") }
        }
        for number in pins.keys where inodes[number] == nil && unlinked[number] == nil {
            broken.append("\(number) is pinned, but unknown")
        }
        for (number, directory) in directories {
            let count = learning.values.count { $0.directory == number }
            if directory.learning != count { broken.append("questions of directory \(number)") }
        }
        var alive: Set<InodeNumber> = [Self.rootInode]
        for directory in directories.values {
            for listing in [directory.listing, directory.previous] {
                guard let listing else { continue }
                for position in 0..<listing.count
                where !listing.entries[position].flags.contains(.moved) {
                    alive.insert(listing.entries[position].number)
                }
            }
        }
        for number in details.keys where !alive.contains(number) {
            broken.append("details of \(number) have no record")
        }
        for number in Array(storedAt.keys) + Array(owned) where inodes[number] == nil {
            broken.append("\(number) has a version and no inode")
        }
        return broken
    }
}
