// What stat(2) shows of a record, and the answers made of it.
//
// Directories have one link: find(1) and fts(3) take a count of 2 as "no sub-directories" and would
// skip them, while 1 says that links are not counted (as btrfs and others do).

import Operations
import S3

extension NamespaceState {
    /// The attributes of a record.
    func attributes(_ listing: Listing, _ position: Int) -> FileAttributes {
        let entry = listing.entries[position]
        let isKnown = entry.modified != Entry.unknownTime
        return FileAttributes(
            inode: entry.number, kind: entry.isDirectory ? .directory : .file,
            permissions: entry.isDirectory ? configuration.directoryMode : configuration.fileMode,
            uid: configuration.uid, gid: configuration.gid, size: entry.size,
            modified: isKnown ? entry.modified : configuration.mountTime)
    }

    /// The attributes of a directory with state.
    func attributes(of directory: Directory) -> FileAttributes {
        if let place = place(of: directory.number) {
            return attributes(place.listing, place.position)
        }
        return FileAttributes(
            inode: directory.number, kind: .directory, permissions: configuration.directoryMode,
            uid: configuration.uid, gid: configuration.gid, size: 0, modified: rootModified)
    }

    private var rootModified: Int64 {
        let known = directories[Self.rootInode]?.marker ?? Entry.unknownTime
        return known == Entry.unknownTime ? configuration.mountTime : known
    }

    /// The version of a file's record.
    func version(at place: Place) -> ObjectVersion {
        let entry = place.entry
        return ObjectVersion(
            key: key(of: place), etag: entry.etag.etag(texts: place.listing.texts),
            size: entry.size, modified: entry.modified,
            storageClass: storageClasses[Int(entry.storageClass)])
    }

    /// Answers with a name's record (counting a lookup), or with its absence.
    mutating func answer(_ waiter: NameWaiter, with found: Place?, absentFor: Duration) {
        guard let found, !found.entry.flags.contains(.gone) else {
            answerAbsent(waiter, timeout: absentFor)
            return
        }
        let timeout = remaining(found.listing, found.position) ?? .zero
        let attributes = attributes(found.listing, found.position)
        switch waiter.kind {
        case .lookup(let reply):
            hold(found, lookups: 1)
            let answer = EntryAnswer(
                attributes: attributes, entryTimeout: timeout, attributesTimeout: timeout)
            let number = attributes.inode
            deferred.append { namespace in
                // Interrupted: the kernel never saw the inode.
                if !reply.succeed(answer) { namespace.forget(inode: number, count: 1) }
            }
        case .attributes(let number, let reply):
            guard attributes.inode == number else {
                deferred.append { _ in reply.fail(.stale) }
                return
            }
            deferred.append { _ in
                reply.succeed(AttributesAnswer(attributes: attributes, timeout: timeout))
            }
        }
    }

    /// Answers that a name does not exist.
    mutating func answerAbsent(_ waiter: NameWaiter, timeout: Duration) {
        switch waiter.kind {
        case .lookup(let reply):
            deferred.append { _ in
                reply.succeed(
                    EntryAnswer(
                        attributes: nil, entryTimeout: timeout, attributesTimeout: timeout))
            }
        case .attributes(_, let reply): deferred.append { _ in reply.fail(.stale) }
        }
    }

    /// Answers waiters with an error of the store, and says so once in the log.
    mutating func fail(_ waiters: [NameWaiter], with error: StoreError, path: String) {
        guard !waiters.isEmpty else { return }
        deferred.append { namespace in
            namespace.report(error, operation: "lookup", path: path)
            let errno = Failure(error).errno
            for waiter in waiters {
                switch waiter.kind {
                case .lookup(let reply): reply.fail(errno)
                case .attributes(_, let reply): reply.fail(errno)
                }
            }
        }
    }
}
