// The namespace's face for those who change names: what is true here shows at once, and no listing
// or HEAD that was asked for before can undo it.
//
// A change begins unsettled: the bucket does not show it yet, and local truth wins over whatever
// the bucket says. `settle` or `published` says that the bucket shows it from now on: answers to
// requests made before that moment still give way, those made after it rule. The caller publishes;
// nothing here sends a request but `resolve`. Times are nanoseconds since 1970.
//
// Locks: the namespace's mutex, as in `Namespace`; completions are called after it is released.

import Operations
import S3
import Scheduling

extension Namespace {
    // MARK: Finding

    /// What is under a name now: from memory when that may be believed, else asks (sharing the
    /// requests of everybody who asks). Counts no lookup.
    ///
    /// - Parameters:
    ///   - pinning: counts one pin on the inode found (see `pin`), so that it stays until `unpin`.
    ///   - completion: called once, on this stack when memory knows, else on a thread of the store.
    ///     ENOENT when the parent was removed, ESTALE when it is unknown, ENOTDIR, ENAMETOOLONG.
    func resolve(
        parent: InodeNumber, name: [UInt8], pinning: Bool = false,
        completion: @escaping @Sendable (Result<Occupant, Errno>) -> Void
    ) {
        locked { $0.resolve(parent, name, pinning: pinning, completion: completion) }
    }

    /// The key that a name made in a directory stands for; a directory's ends in `/`.
    ///
    /// ENAMETOOLONG over 255 bytes or over S3's 1,024 bytes of key; EINVAL for names that would not
    /// be shown as they are given (escapes that nothing needs, pieces of long names).
    func key(
        parent: InodeNumber, name: [UInt8], directory: Bool
    ) -> Result<ObjectKey, Errno> {
        locked { $0.newKey(parent, name, directory: directory) }
    }

    /// The key of an inode's present name; a directory's ends in `/` (the root's is the root
    /// prefix). Nil for unknown inodes and those without a name.
    func key(of inode: InodeNumber) -> ObjectKey? { locked { $0.key(of: inode) } }

    /// The path below the mountpoint, for messages; of a removed inode the one it had.
    func path(of inode: InodeNumber) -> String { locked { $0.shownPath(of: inode) } }

    /// Where an inode is found; nil for the root, unknown inodes and those without a name.
    func parentAndName(of inode: InodeNumber) -> NamePlace? {
        locked { $0.parentAndName(of: inode) }
    }

    /// What is known of an inode from memory, without asking; nil when it is unknown. Of a removed
    /// inode with a link count of 0.
    func attributes(of inode: InodeNumber) -> FileAttributes? {
        locked { $0.knownAttributes(of: inode) }
    }

    // MARK: Changing

    /// A new name with a new inode, unsettled. What was under the name loses it.
    ///
    /// - Parameters:
    ///   - record: what it is.
    ///   - holding: counts one lookup of the kernel.
    /// - Returns: nil when the parent is not a directory (any more).
    func add(
        parent: InodeNumber, name: [UInt8], record: LocalRecord, holding: Bool
    ) -> FileAttributes? {
        let time = wallTime
        return locked { $0.add(parent, name, record, holding: holding, at: time) }
    }

    /// Changes what is true here of an inode; its name is unsettled from now on. Kind is not to be
    /// changed. Works on removed inodes too.
    ///
    /// - Returns: nil when the inode is unknown.
    @discardableResult
    func change(
        _ inode: InodeNumber, _ change: @Sendable (inout LocalRecord) -> Void
    ) -> FileAttributes? {
        locked { $0.change(inode, change) }
    }

    /// The bucket has this version of the file, or of the directory's marker. When `version.key` is the key of the inode's
    /// present name, that name is settled; else (renamed meanwhile) reads of the inode find the
    /// version under `version.key` until the new name is settled. A removed inode only takes note.
    ///
    /// - Parameter settles: false when the file has changed further: local truth stays in force.
    func published(_ inode: InodeNumber, version: ObjectVersion, settles: Bool = true) {
        locked { $0.published(inode, version, settles: settles) }
    }

    /// The bucket shows the change of a name from now on: the new directory's marker, the copy under
    /// the new name, the deletion. Does nothing when no change of the name is in force.
    func settle(parent: InodeNumber, name: [UInt8]) { locked { $0.settle(parent, name) } }

    /// The change of a name did not come about (a publish failed for good, and the data was taken
    /// away): what the bucket shows rules again.
    func withdraw(parent: InodeNumber, name: [UInt8]) { locked { $0.withdraw(parent, name) } }

    /// The name is gone, unsettled. Its inode lives on without a name, with a link count of 0,
    /// until it is forgotten and unpinned.
    ///
    /// - Returns: the inode that lost the name, also when nobody uses it any more; nil when memory
    ///   knew of none (the name is absent in force all the same).
    @discardableResult
    func remove(parent: InodeNumber, name: [UInt8]) -> InodeNumber? {
        let time = wallTime
        return locked { $0.remove(parent, name, at: time) }
    }

    /// Gives a file or directory another name; both names are unsettled. The inode keeps its number
    /// and attributes, all below a directory moves along. What had the new name loses it.
    ///
    /// ENOENT without such a name or parent, EINVAL for a directory into itself. The version in the
    /// bucket is found under the old key until the new name is settled or published (a directory's
    /// files: their keys are the new ones at once).
    func move(
        parent: InodeNumber, name: [UInt8], newParent: InodeNumber, newName: [UInt8]
    ) -> Result<Moved, Errno> {
        let time = wallTime
        return locked { $0.move(parent, name, newParent, newName, at: time) }
    }

    /// The kernel's answer to an operation that made or changed a name.
    func entryAnswer(_ attributes: FileAttributes) -> EntryAnswer {
        let timeout = configuration.timeToLive ?? NamespaceState.forever
        return EntryAnswer(
            attributes: attributes, entryTimeout: timeout, attributesTimeout: timeout)
    }

    // MARK: Keeping

    /// Keeps an inode in memory, whatever the kernel forgets. Pins are counted.
    func pin(_ inode: InodeNumber) { locked { $0.pin(inode) } }

    /// Takes one pin back.
    func unpin(_ inode: InodeNumber) { locked { $0.unpin(inode) } }

    // MARK: Directories

    /// What memory knows of a directory's names, for rmdir together with a LIST of its prefix. Nil
    /// when the inode is no directory.
    func contents(of directory: InodeNumber) -> DirectoryContents? {
        locked { $0.contents(of: directory) }
    }

    /// Whether the directory has its own marker object, as far as memory knows.
    func marker(of directory: InodeNumber) -> MarkerState {
        locked { $0.marker(of: directory) }
    }

    /// Whether changes made in a directory are not in the bucket yet.
    func isSettled(_ directory: InodeNumber) -> Bool { locked { $0.isSettled(directory) } }

    private var wallTime: Int64 {
        let time = scheduler.unixTime.components
        return time.seconds * 1_000_000_000 + time.attoseconds / 1_000_000_000
    }
}
