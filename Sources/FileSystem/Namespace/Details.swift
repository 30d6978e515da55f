// What is known of an inode beyond its record: attributes kept in the object's metadata, or set
// here. A side table, as most objects have none.

import Operations
import S3

/// Attributes that differ from the mount's defaults.
struct Details: Hashable {
    var kind: FileAttributes.Kind
    var permissions: UInt16
    var uid: UInt32
    var gid: UInt32
    /// Nanoseconds since 1970; nil: as the record says.
    var modified: Int64?
    var changed: Int64?
    /// Bytes, while it differs from the version in the bucket.
    var size: Int64?
    /// Nothing of it is in the bucket.
    var isUnpublished = false

    /// What is kept in the table for each, in bytes.
    static let cost = 112
}

extension Details {
    init(_ record: LocalRecord, isUnpublished: Bool) {
        kind = record.kind
        permissions = record.permissions
        uid = record.uid
        gid = record.gid
        modified = record.modified
        changed = record.changed
        size = record.kind == .directory ? nil : record.size
        self.isUnpublished = isUnpublished
    }

    init(
        _ attributes: ObjectAttributes, isDirectory: Bool, configuration: NamespaceConfiguration
    ) {
        kind = isDirectory ? .directory : attributes.isSymbolicLink ? .symbolicLink : .file
        let usual: UInt16 =
            isDirectory
            ? configuration.directoryMode : kind == .file ? configuration.fileMode : 0o777
        permissions = attributes.permissions ?? usual
        uid = attributes.uid ?? configuration.uid
        gid = attributes.gid ?? configuration.gid
        modified = attributes.modified
        changed = attributes.changed
    }

    /// The same as an object's metadata has it.
    var objectAttributes: ObjectAttributes {
        ObjectAttributes(
            permissions: permissions, uid: uid, gid: gid, modified: modified, changed: changed,
            isSymbolicLink: kind == .symbolicLink)
    }
}

extension LocalRecord {
    init(_ attributes: FileAttributes) {
        self.init(
            kind: attributes.kind, size: attributes.size, modified: attributes.modified,
            changed: attributes.changed, permissions: attributes.permissions,
            uid: attributes.uid, gid: attributes.gid)
    }

    /// The same as stat(2) shows it.
    func attributes(inode: InodeNumber, linkCount: UInt32) -> FileAttributes {
        FileAttributes(
            inode: inode, kind: kind, permissions: permissions, linkCount: linkCount, uid: uid,
            gid: gid, size: size, modified: modified, changed: changed)
    }
}

extension NamespaceState {
    /// Takes what an object's metadata tells of a record.
    mutating func take(_ attributes: ObjectAttributes, _ place: Place) {
        let number = place.entry.number
        guard !place.entry.flags.contains(.local) || !place.entry.flags.contains(.known) else {
            return
        }
        let before = details[number]
        if attributes.isEmpty {
            if before?.isUnpublished != true { details[number] = nil }
        } else {
            detail(
                place,
                Details(
                    attributes, isDirectory: place.entry.isDirectory, configuration: configuration))
        }
        place.listing.entries[place.position].flags.insert(.known)
    }

    /// Keeps what is known of a record beyond it.
    mutating func detail(_ place: Place, _ known: Details) {
        if details.updateValue(known, forKey: place.entry.number) == nil {
            place.listing.detailed += 1
        }
    }

    /// Takes headers that tell of a file's present version.
    mutating func take(_ head: ObjectHead, _ place: Place) {
        guard configuration.readsMetadata,
            place.entry.etag.etag(texts: place.listing.texts) == head.etag
        else { return }
        let attributes = ObjectAttributes(metadata: head.metadata)
        if !place.entry.flags.contains(.known) {
            let question = AttributeQuestion(key: head.key, etag: head.etag)
            deferred.append { $0.memorized.note([question: attributes]) }
        }
        take(attributes, place)
    }

    /// Drops what is known of records that die with their listing.
    mutating func dropDetails(of listing: Listing) {
        guard !details.isEmpty else { return }
        for position in 0..<listing.count {
            let entry = listing.entries[position]
            if entry.flags.isDisjoint(with: [.held, .moved]), inodes[entry.number] == nil {
                details[entry.number] = nil
            }
        }
    }
}
