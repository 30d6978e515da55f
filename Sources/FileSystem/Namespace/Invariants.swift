// What must hold between the namespace's tables at any time the lock is free. For tests.

import Operations

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
                    if inode.lookups == 0, directories[entry.number] == nil {
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
        for (handle, open) in handles where directories[open.directory] == nil {
            broken.append("handle \(handle) has no directory")
        }
        return broken.sorted()
    }
}
