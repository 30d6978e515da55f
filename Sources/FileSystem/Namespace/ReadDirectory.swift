// opendir, readdir, closedir.
//
// A handle walks one listing, its snapshot: d_off is 1 behind `.`, 2 behind `..`, and position + 3
// behind a name of that listing, so seekdir, telldir and a change in mid-listing neither lose nor
// repeat a name. rewinddir takes a new snapshot when the old one is stale. Names of a listing that
// is still being fetched are given as they come.

import Operations
import S3

extension NamespaceState {
    mutating func openDirectory(_ number: InodeNumber, reply: Reply<OpenAnswer>) {
        guard let directory = directory(number) else {
            let errno = noDirectory(number)
            deferred.append { _ in reply.fail(errno) }
            return
        }
        let isFresh = remaining(directory) != nil
        let handle = nextHandle
        nextHandle += 1
        handles[handle] = DirectoryHandle(
            directory: number, listing: isFresh ? directory.listing : nil)
        directory.handles += 1
        account(directory)
        if isFresh { noteWalk(directory) }
        let answer = OpenAnswer(
            handle: handle, keepCache: isFresh && directory.served == directory.listing.id,
            cacheDirectory: configuration.timeToLive != .zero)
        deferred.append { namespace in
            if !reply.succeed(answer) {
                namespace.locked { $0.releaseDirectory(number, handle: handle) }
            }
        }
    }

    mutating func releaseDirectory(_ number: InodeNumber, handle: HandleNumber) {
        guard handles.removeValue(forKey: handle) != nil, let directory = directories[number]
        else { return }
        directory.handles -= 1
        let readers = directory.readers.filter { $0.handle == handle }
        directory.readers.removeAll { $0.handle == handle }
        for reader in readers { deferred.append { _ in reader.reply.fail(.badHandle) } }
        account(directory)
    }

    mutating func readDirectory(
        _ number: InodeNumber, handle: HandleNumber, offset: UInt64, reply: any DirectoryReply
    ) {
        guard let open = handles[handle], open.directory == number,
            let directory = directory(number)
        else {
            // A removed directory has no names.
            let isRemoved = unlinked[number] != nil && handles[handle]?.directory == number
            deferred.append { _ in if isRemoved { reply.finish() } else { reply.fail(.badHandle) } }
            return
        }
        let isRewound = offset == 0 && open.isStarted
        let isStale =
            open.listing.map { isRewound && ($0.failure != nil || !isCurrent($0, directory)) }
            ?? true
        if isStale {
            // A listing given up half way is nobody's snapshot.
            if remaining(directory) == nil, directory.lister == nil {
                startListing(of: directory, for: .reader)
            }
            handles[handle]?.listing = directory.listing
            noteWalk(directory)
        }
        handles[handle]?.isStarted = true
        serve(ParkedRead(handle: handle, offset: offset, reply: reply), directory)
    }

    private func isCurrent(_ listing: Listing, _ directory: Directory) -> Bool {
        listing === directory.listing
            && (directory.lister != nil || remaining(directory) != nil)
    }

    /// Serves the reads that waited for names.
    mutating func wakeReaders(of directory: Directory) {
        let readers = directory.readers
        directory.readers = []
        for reader in readers { serve(reader, directory) }
    }

    private mutating func serve(_ read: ParkedRead, _ directory: Directory) {
        guard let listing = handles[read.handle]?.listing else {
            deferred.append { _ in read.reply.fail(.badHandle) }
            return
        }
        let reply = read.reply
        let isGrowing = listing === directory.listing && directory.lister != nil
        if read.offset == 0, listing.count == 0, isGrowing {
            directory.readers.append(read)
            return
        }
        if read.offset == 0, let failure = listing.failure, listing.listed == 0 {
            deferred.append { _ in reply.fail(Failure(failure).errno) }
            return
        }
        var offset = read.offset
        var added = 0
        var isFull = false
        while offset < 2, !isFull {
            isFull = !addDots(directory, offset, reply)
            if !isFull { (offset, added) = (offset + 1, added + 1) }
        }
        var position = offset < 2 ? listing.count : Int(clamping: offset - 2)
        while position < listing.count, !isFull {
            switch add(listing, position, directory, reply) {
            case .added: added += 1
            case .skipped: break
            case .full: isFull = true
            }
            if !isFull { position += 1 }
        }
        directory.served = listing.id
        if added == 0, !isFull {
            if isGrowing {
                directory.readers.append(
                    ParkedRead(handle: read.handle, offset: UInt64(position) + 2, reply: reply))
                return
            }
            if !listing.isComplete {
                let errno = listing.failure.map { Failure($0).errno } ?? .tryAgain
                deferred.append { _ in reply.fail(errno) }
                return
            }
        }
        deferred.append { _ in reply.finish() }
    }

    /// Adds `.` (offset 0) or `..` (offset 1).
    private func addDots(
        _ directory: Directory, _ offset: UInt64, _ reply: any DirectoryReply
    ) -> Bool {
        let shown = offset == 0 ? directory : directories[directory.parent] ?? directory
        let name: [UInt8] = offset == 0 ? [0x2E] : [0x2E, 0x2E]
        return reply.add(
            name: name, attributes: attributes(of: shown), entryTimeout: nil,
            attributesTimeout: .zero, nextOffset: offset + 1)
    }

    private enum Addition { case added, skipped, full }

    private mutating func add(
        _ listing: Listing, _ position: Int, _ directory: Directory, _ reply: any DirectoryReply
    ) -> Addition {
        let entry = listing.entries[position]
        if entry.flags.contains(.single) { return .skipped }
        let name = listing.name(position)
        if entry.flags.contains(.gone) {
            // In an older snapshot the name may have come back as something else.
            guard listing !== directory.listing, let today = self.place(of: name, in: directory),
                today.entry.flags.isDisjoint(with: .gone)
            else { return .skipped }
        }
        let nextOffset = UInt64(position) + 3
        var place = Place(directory: directory, listing: listing, position: position)
        if listing !== directory.listing || entry.flags.contains(.moved) {
            // An older snapshot: the name counts, the inode is the one it has today.
            guard let today = self.place(of: name, in: directory),
                !today.entry.flags.contains(.gone)
            else {
                let isAdded = reply.add(
                    name: name, attributes: attributes(listing, position), entryTimeout: nil,
                    attributesTimeout: .zero, nextOffset: nextOffset)
                return isAdded ? .added : .full
            }
            place = today
        }
        var attributes = attributes(place.listing, place.position)
        if isUnknown(place) {
            // The kernel looks it up if somebody wants to know (see Learning).
            if mayBeLink(place.entry) { attributes.kind = .unknown }
            let isAdded = reply.add(
                name: name, attributes: attributes, entryTimeout: nil, attributesTimeout: .zero,
                nextOffset: nextOffset)
            return isAdded ? .added : .full
        }
        let timeout = remaining(place.listing, place.position) ?? .zero
        let isAdded = reply.add(
            name: name, attributes: attributes, entryTimeout: timeout, attributesTimeout: timeout,
            nextOffset: nextOffset)
        guard isAdded else { return .full }
        if reply.plus { hold(place, lookups: 1) }
        return .added
    }
}
