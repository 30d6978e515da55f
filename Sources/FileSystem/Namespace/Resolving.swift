// What is under a name, and which key a name stands for.

import Operations
import S3

extension NamespaceState {
    /// The longest key S3 knows, in bytes.
    static let keyLimit = 1024

    mutating func resolve(
        _ parent: InodeNumber, _ name: [UInt8], pinning: Bool,
        completion: @escaping @Sendable (Result<Occupant, Errno>) -> Void
    ) {
        guard name.count <= KeyEscape.nameLimit else {
            deferred.append { _ in completion(.failure(.nameTooLong)) }
            return
        }
        guard let directory = directory(parent) else {
            let errno = noDirectory(parent)
            deferred.append { _ in completion(.failure(errno)) }
            return
        }
        let waiter = NameWaiter(name: name, kind: .resolve(pinning: pinning, completion))
        reconsider(waiter, in: directory)
    }

    /// Why an inode is not a directory to look into.
    func noDirectory(_ number: InodeNumber) -> Errno {
        if let inode = unlinked[number] {
            return inode.attributes.kind == .directory ? .noEntry : .notDirectory
        }
        return place(of: number) == nil ? .stale : .notDirectory
    }

    /// What a record is.
    func occupant(_ place: Place) -> Occupant {
        let number = place.entry.number
        if place.entry.isDirectory { return .directory(number) }
        let version = version(at: place)
        return details[number]?.kind == .symbolicLink
            ? .symbolicLink(number, version) : .file(number, version)
    }

    mutating func newKey(
        _ parent: InodeNumber, _ name: [UInt8], directory isDirectory: Bool
    ) -> Result<ObjectKey, Errno> {
        guard name.count <= KeyEscape.nameLimit else { return .failure(.nameTooLong) }
        guard let directory = directory(parent) else { return .failure(noDirectory(parent)) }
        let form = KeyEscape.form(of: name)
        let payload = KeyEscape.payload(of: name)
        let shown = KeyEscape.shown(
            component: directory.component(payload), spelt: directory.spelt, asFile: false)
        guard form == .plain || form == .name, shown == .name(name), !payload.contains(0x2F),
            !payload.contains(0)
        else { return .failure(.invalid) }
        let key = directory.prefix + payload + (isDirectory ? [0x2F] : [])
        guard key.count <= Self.keyLimit else { return .failure(.nameTooLong) }
        // An empty component is a key only where something follows it.
        guard !payload.isEmpty || isDirectory else { return .failure(.invalid) }
        return .success(ObjectKey(key))
    }

    func key(of number: InodeNumber) -> ObjectKey? {
        if number == Self.rootInode { return ObjectKey(configuration.rootPrefix) }
        return place(of: number).map { key(of: $0) }
    }

    func shownPath(of number: InodeNumber) -> String {
        if let inode = unlinked[number] { return inode.path }
        return number == Self.rootInode ? "/" : path(of: number)
    }

    func parentAndName(of number: InodeNumber) -> NamePlace? {
        guard let place = place(of: number), !place.entry.flags.contains(.gone) else { return nil }
        return NamePlace(
            parent: place.directory.number, name: Array(place.listing.name(place.position)))
    }

    func knownAttributes(of number: InodeNumber) -> FileAttributes? {
        if let inode = unlinked[number] { return inode.attributes }
        if number == Self.rootInode { return directories[number].map { attributes(of: $0) } }
        guard let place = place(of: number), !place.entry.flags.contains(.gone) else { return nil }
        return attributes(place.listing, place.position)
    }
}
