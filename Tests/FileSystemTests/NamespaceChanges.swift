// Changing names in a namespace over a simulated bucket, as a writer does it.

import Operations
import S3
import Simulation

@testable import FileSystem

extension NamespaceWorld {
    static func file(_ size: Int64 = 1, modified: Int64 = 5) -> LocalRecord {
        LocalRecord(
            kind: .file, size: size, modified: modified, changed: modified, permissions: 0o600,
            uid: 7, gid: 8)
    }

    static var folder: LocalRecord {
        LocalRecord(
            kind: .directory, modified: 6, changed: 6, permissions: 0o700, uid: 7, gid: 8)
    }

    func add(
        _ name: String, _ record: LocalRecord = file(), in parent: InodeNumber = 1,
        holding: Bool = true
    ) -> FileAttributes? {
        namespace.add(
            parent: parent, name: Array(name.utf8), record: record, holding: holding)
    }

    @discardableResult
    func remove(_ name: String, in parent: InodeNumber = 1) -> InodeNumber? {
        namespace.remove(parent: parent, name: Array(name.utf8))
    }

    func settle(_ name: String, in parent: InodeNumber = 1) {
        namespace.settle(parent: parent, name: Array(name.utf8))
    }

    func move(
        _ name: String, to newName: String, from parent: InodeNumber = 1,
        into newParent: InodeNumber = 1
    ) -> Result<Moved, Errno> {
        namespace.move(
            parent: parent, name: Array(name.utf8), newParent: newParent,
            newName: Array(newName.utf8))
    }

    func resolve(
        _ name: String, in parent: InodeNumber = 1, pinning: Bool = false
    ) -> Result<Occupant, Errno> {
        let box = Box<Result<Occupant, Errno>>()
        namespace.resolve(parent: parent, name: Array(name.utf8), pinning: pinning) {
            box.set($0)
        }
        return wait(box)
    }

    /// Puts the bytes of an inode into the bucket under its present key, and says so.
    func publish(_ inode: InodeNumber, _ text: String, metadata: [String: String] = [:]) {
        let key = namespace.key(of: inode)!
        store.put(key, Array(text.utf8), metadata: metadata)
        let object = store.object(key)!
        namespace.published(
            inode,
            version: ObjectVersion(
                key: key, etag: object.etag, size: object.size, modified: object.modified))
    }

    /// The names of a directory, sorted.
    func names(_ inode: InodeNumber = 1, plus: Bool = true) throws -> [String] {
        try list(inode, plus: plus).map(\.text).sorted()
    }

    var broken: [String] { namespace.locked { $0.brokenInvariants() } }
}
