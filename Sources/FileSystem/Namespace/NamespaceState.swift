// Everything the namespace knows, and the moves between its tables. Lives under the namespace's one
// mutex; what must happen outside of it (replies, requests) is queued in `deferred`.

import Operations
import S3
import Scheduling

/// The tables of the namespace.
///
/// `@unchecked`: it refers to classes that are not Sendable, but none of them is ever reachable
/// from outside the mutex that holds this state.
struct NamespaceState: @unchecked Sendable {
    let configuration: NamespaceConfiguration
    let notifier: (any KernelNotifier)?
    /// Scheduler time of the namespace's birth; `Entry.checked` counts from here.
    let origin: Duration
    /// Scheduler time, set at each entry into the lock.
    var now: Duration

    var inodes = InodeTable()
    var directories: [InodeNumber: Directory] = [:]
    var handles: [HandleNumber: DirectoryHandle] = [:]
    var heads = HeadCache()
    /// Attributes beyond the records, by inode number; also of records that are not in use.
    var details: [InodeNumber: Details] = [:]
    /// Questions about attributes under way.
    var learning: [InodeNumber: Learning] = [:]
    /// Inodes without a name.
    var unlinked: [InodeNumber: UnlinkedInode] = [:]
    var pins: [InodeNumber: Int] = [:]
    /// Where a version lies while that is not the key of the inode's name.
    var storedAt: [InodeNumber: ObjectKey] = [:]
    /// Inodes that got a version from here.
    var owned: Set<InodeNumber> = []
    /// How many directories are wanted, the root included: without one there are no changes.
    var wanted = 0
    var storageClasses: [StorageClass] = [.standard]
    var walks: [Walk] = []
    /// Listings ahead of a walk under way.
    var aheadInFlight = 0
    /// Bytes of listings made ahead that nobody has read yet.
    var aheadBytes = 0

    var nextInode: InodeNumber = rootInode + 1
    var nextHandle: HandleNumber = 1
    var nextListing: UInt32 = 1
    var nextRequest: UInt64 = 1
    var tick: UInt64 = 0
    /// Bytes of listings that nobody holds, as last accounted per directory.
    var idleBytes = 0
    var idleByDirectory: [InodeNumber: Int] = [:]

    /// Done in order once the lock is released.
    var deferred: [@Sendable (Namespace) -> Void] = []

    static let rootInode: InodeNumber = 1
    /// What "for ever" is for the kernel: ten years.
    static let forever: Duration = .seconds(10 * 365 * 86400)

    init(
        configuration: NamespaceConfiguration, notifier: (any KernelNotifier)?, now: Duration
    ) {
        self.configuration = configuration
        self.notifier = notifier
        self.origin = now
        self.now = now
        let root = Self.rootInode
        inodes.insert(Inode(number: root, parent: 0, lookups: 1, listing: 0, entry: 0))
        directories[root] = Directory(
            number: root, parent: root, prefix: configuration.rootPrefix, spelt: 0,
            listing: Listing(id: 0))
    }
}

// MARK: Finding

extension NamespaceState {
    /// Where a name's record is.
    struct Place {
        var directory: Directory
        var listing: Listing
        var position: Int
        var entry: Entry { listing.entries[position] }
    }

    /// The record of an inode in use; nil for the root and unknown inodes.
    func place(of number: InodeNumber) -> Place? {
        guard let inode = inodes[number], let directory = directories[inode.parent] else {
            return nil
        }
        for listing in [directory.listing, directory.previous] {
            if let listing, listing.id == inode.listing {
                return Place(
                    directory: directory, listing: listing, position: Int(inode.entry))
            }
        }
        return nil
    }

    /// The newest record of a name, alive or gone.
    func place(of name: some RandomAccessCollection<UInt8>, in directory: Directory) -> Place? {
        for listing in [directory.listing, directory.previous] {
            if let listing, let position = listing.find(name),
                !listing.entries[position].flags.contains(.moved)
            {
                return Place(directory: directory, listing: listing, position: position)
            }
        }
        return nil
    }

    /// The state of a directory, made when it is not there; nil for files and unknown inodes.
    mutating func directory(_ number: InodeNumber) -> Directory? {
        tick += 1
        if let directory = directories[number] {
            directory.lastUsed = tick
            return directory
        }
        guard let place = place(of: number), place.entry.isDirectory else { return nil }
        return makeDirectory(at: place)
    }

    /// Gives a directory's record its state (and an inode, if it had none).
    mutating func makeDirectory(at place: Place) -> Directory {
        let number = place.entry.number
        if let directory = directories[number] { return directory }
        hold(place, lookups: 0)
        let (prefix, spelt) = prefix(at: place)
        let directory = Directory(
            number: number, parent: place.directory.number, prefix: prefix, spelt: spelt,
            listing: Listing(id: nextListing))
        nextListing &+= 1
        directory.lastUsed = tick
        directories[number] = directory
        account(directory)
        return directory
    }

    /// What the keys in a directory begin with, and what of a long component they have spelt.
    func prefix(at place: Place) -> (prefix: [UInt8], spelt: Int) {
        let name = place.listing.name(place.position)
        let payload = KeyEscape.payload(of: name)
        let isPart = KeyEscape.form(of: name) == .more
        return (
            place.directory.prefix + payload + (isPart ? [] : [0x2F]),
            isPart ? place.directory.spelt + payload.count : 0
        )
    }

    /// The key a file's record stands for (a directory's: its prefix).
    func key(of place: Place) -> ObjectKey {
        let name = place.listing.name(place.position)
        var key = place.directory.prefix + KeyEscape.payload(of: name)
        if place.entry.isDirectory, KeyEscape.form(of: name) != .more { key.append(0x2F) }
        return ObjectKey(key)
    }

    /// The path below the mountpoint, for messages.
    func path(of number: InodeNumber, name: [UInt8]? = nil) -> String {
        var components: [[UInt8]] = name.map { [$0] } ?? []
        var number = number
        while number != Self.rootInode, let place = place(of: number) {
            components.append(Array(place.listing.name(place.position)))
            number = place.directory.number
        }
        return ObjectKey(Array(components.reversed().flatMap { [0x2F] + $0 })).description
    }
}

// MARK: Holding

extension NamespaceState {
    /// Counts lookups on a record's inode, making the inode when it is not in use.
    mutating func hold(_ place: Place, lookups: UInt64) {
        let entry = place.entry
        if entry.flags.contains(.held) {
            inodes.update(entry.number) { $0.lookups += lookups }
            return
        }
        place.listing.entries[place.position].flags.insert(.held)
        place.listing.held += 1
        inodes.insert(
            Inode(
                number: entry.number, parent: place.directory.number, lookups: lookups,
                listing: place.listing.id, entry: UInt32(place.position)))
    }

    /// The kernel forgets lookups; an inode nobody uses any more is freed.
    mutating func forget(_ number: InodeNumber, count: UInt64) {
        guard number != Self.rootInode else { return }
        if freeIfUnlinked(number, forgetting: count) { return }
        inodes.update(number) { $0.lookups -= min(count, $0.lookups) }
        freeIfUnused(number)
    }

    /// Frees an inode without lookups, pins, changes in force and directory state.
    mutating func freeIfUnused(_ number: InodeNumber) {
        if freeIfUnlinked(number) { return }
        guard let inode = inodes[number], inode.lookups == 0, directories[number] == nil,
            number != Self.rootInode, !isNeeded(number)
        else { return }
        let place = place(of: number)
        inodes.remove(number)
        heads.remove(number)
        owned.remove(number)
        guard let place else { return }
        place.listing.entries[place.position].flags.remove(.held)
        place.listing.held -= 1
        if place.entry.flags.contains(.single) { place.listing.waste += 1 }
        if place.listing.held % 64 == 0 { account(place.directory) }
        if place.listing.waste > 4096, place.listing.waste * 2 > place.listing.count,
            !place.directory.isBusy
        {
            compact(place.directory)
        }
    }
}

// MARK: Freshness

extension NamespaceState {
    /// For how long a record may still be believed; nil when it must be confirmed first.
    func remaining(_ listing: Listing, _ position: Int) -> Duration? {
        let entry = listing.entries[position]
        if entry.flags.contains(.local) { return fullTimeout }
        if entry.flags.contains(.suspect) { return nil }
        var since: Duration?
        if !entry.flags.contains(.single) {
            // Made here before the first listing, or just listed.
            since = listing.finishedAt ?? (entry.checked == 0 ? now : nil)
        }
        if entry.checked != 0 {
            // Wraps after 49 days; the difference stays right.
            let checked = now - .milliseconds(Int64(stamp(now) &- entry.checked))
            since = max(since ?? checked, checked)
        }
        // No closure over self: that would copy the whole state.
        guard let since else { return nil }
        return remaining(since: since)
    }

    /// For how long the names that are not in a directory may be believed missing.
    func remaining(_ directory: Directory) -> Duration? {
        guard directory.listing.isComplete, !directory.listing.isDoubted,
            let since = directory.listing.finishedAt
        else { return nil }
        return remaining(since: since)
    }

    private func remaining(since: Duration) -> Duration? {
        guard let ttl = configuration.timeToLive else { return Self.forever }
        let left = since + ttl - now
        return ttl > .zero && left > .zero ? left : nil
    }

    /// The timeout of what was confirmed just now.
    var fullTimeout: Duration { configuration.timeToLive ?? Self.forever }

    /// Now, for `Entry.checked`.
    var checkedNow: UInt32 { stamp(now) }

    /// A time as `Entry.checked` keeps it: milliseconds, never 0.
    func stamp(_ time: Duration) -> UInt32 {
        let age = (time - origin).components
        let milliseconds = age.seconds * 1000 + age.attoseconds / 1_000_000_000_000_000
        return max(1, UInt32(truncatingIfNeeded: milliseconds))
    }
}
