// Attributes of inodes in use, and asking about one file.

import Operations
import S3

extension NamespaceState {
    mutating func getAttributes(_ number: InodeNumber, reply: Reply<AttributesAnswer>) {
        if number == Self.rootInode, let root = directories[number] {
            let answer = AttributesAnswer(attributes: attributes(of: root), timeout: fullTimeout)
            deferred.append { _ in reply.succeed(answer) }
            return
        }
        if let inode = unlinked[number] {
            let answer = AttributesAnswer(attributes: inode.attributes, timeout: fullTimeout)
            deferred.append { _ in reply.succeed(answer) }
            return
        }
        guard let place = place(of: number) else {
            deferred.append { _ in reply.fail(.stale) }
            return
        }
        guard let left = remaining(place.listing, place.position) else {
            let name = Array(place.listing.name(place.position))
            ask(NameWaiter(name: name, kind: .attributes(number, reply)), in: place.directory)
            return
        }
        guard !place.entry.flags.contains(.gone) else {
            deferred.append { _ in reply.fail(.stale) }
            return
        }
        if isUnknown(place) {
            let name = Array(place.listing.name(place.position))
            learn(place, for: NameWaiter(name: name, kind: .attributes(number, reply)))
            return
        }
        let answer = AttributesAnswer(
            attributes: attributes(place.listing, place.position), timeout: left)
        deferred.append { _ in reply.succeed(answer) }
    }

    func version(of number: InodeNumber) -> ObjectVersion? {
        if let inode = unlinked[number] { return inode.version }
        guard let place = place(of: number), !place.entry.isDirectory,
            !place.entry.flags.contains(.gone)
        else { return nil }
        return version(at: place)
    }

    func isFresh(_ number: InodeNumber) -> Bool {
        guard let place = place(of: number) else { return number == Self.rootInode }
        let entry = place.entry
        if entry.flags.contains(.local) { return true }
        guard entry.flags.isDisjoint(with: [.gone, .suspect]) else { return false }
        if configuration.timeToLive == .zero {
            // The lookup that every open makes has just asked.
            return entry.checked != 0 && checkedNow &- entry.checked < 1000
        }
        return remaining(place.listing, place.position) != nil
    }

    mutating func refresh(
        _ number: InodeNumber,
        completion: @escaping @Sendable (Result<ObjectVersion?, StoreError>) -> Void
    ) {
        guard let place = place(of: number), !place.entry.isDirectory,
            details[number]?.isUnpublished != true
        else {
            let version = unlinked[number]?.version
            deferred.append { _ in completion(.success(version)) }
            return
        }
        fetchHead(of: place) { state, result in
            let answer: Result<ObjectVersion?, StoreError>
            switch result {
            case .success: answer = .success(state.version(of: number))
            case .failure(let error) where error.kind == .notFound: answer = .success(nil)
            case .failure(let error): answer = .failure(error)
            }
            state.deferred.append { _ in completion(answer) }
        }
    }

    /// HeadObject of a file, shared by everybody who asks at the same time; updates the record.
    mutating func fetchHead(
        of place: Place,
        completion:
            @escaping @Sendable (inout NamespaceState, Result<ObjectHead, StoreError>) ->
            Void
    ) {
        let number = place.entry.number
        if heads.join(number, completion) { return }
        let key = storedAt[number] ?? key(of: place)
        deferred.append { namespace in
            namespace.store.head(key) { result in
                namespace.locked { state in
                    let (waiters, isOutdated) = state.heads.leave(number)
                    if !isOutdated, let place = state.place(of: number) {
                        let isLocal = place.entry.flags.contains(.local)
                        switch result {
                        case .success(let head):
                            if !isLocal { state.update(place, Finding(head)) }
                            state.heads.insert(head, for: number)
                            state.take(head, place)
                        case .failure(let error) where error.kind == .notFound && !isLocal:
                            state.vanished(place)
                        case .failure: break
                        }
                    }
                    for waiter in waiters { waiter(&state, result) }
                }
            }
        }
    }

    mutating func objectSeen(_ head: ObjectHead, inode number: InodeNumber) {
        guard let place = place(of: number), !place.entry.isDirectory,
            !place.entry.flags.contains(.local)
        else { return }
        // A reader that began before a version was put here tells of the one before.
        let isSame = place.entry.etag.etag(texts: place.listing.texts) == head.etag
        if owned.contains(number), !isSame { return }
        update(place, Finding(head))
        heads.insert(head, for: number)
        take(head, place)
    }

    mutating func objectChanged(_ number: InodeNumber) {
        guard let place = place(of: number), !place.entry.flags.contains(.local) else { return }
        place.listing.entries[place.position].flags.insert(.suspect)
        heads.remove(number)
        tellChanged(number, in: place.directory, name: place.listing.name(place.position))
    }
}

// MARK: Siblings

extension NamespaceState {
    func position(of number: InodeNumber) -> Namespace.SiblingPosition? {
        guard let place = place(of: number), place.listing === place.directory.listing,
            place.entry.flags.isDisjoint(with: [.single, .gone])
        else { return nil }
        return Namespace.SiblingPosition(
            directory: place.directory.number, index: place.position)
    }

    func files(
        in number: InodeNumber, from index: Int, limit: Int
    ) -> [(index: Int, version: ObjectVersion)] {
        guard let directory = directories[number], index >= 0 else { return [] }
        var files: [(index: Int, version: ObjectVersion)] = []
        var position = index
        while position < directory.listing.count, files.count < limit {
            let flags = directory.listing.entries[position].flags
            let place = Place(
                directory: directory, listing: directory.listing, position: position)
            if flags.isDisjoint(with: [.directory, .single, .gone, .suspect, .moved, .local]),
                let version = version(at: place)
            {
                files.append((position, version))
            }
            position += 1
        }
        return files
    }
}
