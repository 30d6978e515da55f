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
        var attributes = FileAttributes(
            inode: entry.number, kind: entry.isDirectory ? .directory : .file,
            permissions: entry.isDirectory ? configuration.directoryMode : configuration.fileMode,
            uid: configuration.uid, gid: configuration.gid, size: entry.size,
            modified: isKnown ? entry.modified : configuration.mountTime)
        if !details.isEmpty, let details = details[entry.number] {
            add(details, to: &attributes)
        }
        if entry.isDirectory, let modified = directories[entry.number]?.localModified {
            attributes.modified = max(attributes.modified, modified)
            attributes.changed = max(attributes.changed, modified)
        }
        return attributes
    }

    private func add(_ details: Details, to attributes: inout FileAttributes) {
        attributes.kind = details.kind
        attributes.permissions = details.permissions
        attributes.uid = details.uid
        attributes.gid = details.gid
        attributes.size = details.size ?? attributes.size
        attributes.modified = details.modified ?? attributes.modified
        attributes.changed = details.changed ?? attributes.modified
    }

    /// The attributes of a directory with state.
    func attributes(of directory: Directory) -> FileAttributes {
        if let place = place(of: directory.number) {
            return attributes(place.listing, place.position)
        }
        var attributes = FileAttributes(
            inode: directory.number, kind: .directory, permissions: configuration.directoryMode,
            uid: configuration.uid, gid: configuration.gid, size: 0, modified: rootModified)
        if let details = details[directory.number] { add(details, to: &attributes) }
        if let modified = directory.localModified {
            attributes.modified = max(attributes.modified, modified)
            attributes.changed = max(attributes.changed, modified)
        }
        return attributes
    }

    private var rootModified: Int64 {
        let known = directories[Self.rootInode]?.marker ?? Entry.unknownTime
        return known == Entry.unknownTime ? configuration.mountTime : known
    }

    /// The version of a file's record; nil while nothing of it is in the bucket.
    func version(at place: Place) -> ObjectVersion? {
        let entry = place.entry
        if entry.isDirectory { return nil }
        if !details.isEmpty, details[entry.number]?.isUnpublished == true { return nil }
        return ObjectVersion(
            key: storedAt[entry.number] ?? key(of: place),
            etag: entry.etag.etag(texts: place.listing.texts),
            size: entry.size, modified: entry.modified,
            storageClass: storageClasses[Int(entry.storageClass)])
    }

    /// Answers with a name's record (counting a lookup), or with its absence.
    mutating func answer(_ waiter: NameWaiter, with found: Place?, absentFor: Duration) {
        guard let found, !found.entry.flags.contains(.gone) else {
            answerAbsent(waiter, timeout: absentFor)
            return
        }
        if isUnknown(found) {
            learn(found, for: waiter)
            return
        }
        walkOn(found)
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
        case .resolve(let pinning, let completion):
            if pinning {
                hold(found, lookups: 0)
                pin(attributes.inode)
            }
            let occupant = occupant(found)
            deferred.append { _ in completion(.success(occupant)) }
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
        case .resolve(_, let completion): deferred.append { _ in completion(.success(.none)) }
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
                case .resolve(_, let completion): completion(.failure(errno))
                }
            }
        }
    }
}
