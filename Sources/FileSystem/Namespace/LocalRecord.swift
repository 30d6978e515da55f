// The words of changes made here: what a name is to be, and what is under a name.

import Operations
import S3

/// What is true here of a file, a directory or a symbolic link, whatever the bucket shows.
struct LocalRecord: Hashable, Sendable {
    var kind: FileAttributes.Kind
    /// Bytes; 0 for directories, the length of the target for symbolic links.
    var size: Int64 = 0
    /// Nanoseconds since 1970.
    var modified: Int64
    /// Nanoseconds since 1970.
    var changed: Int64
    /// Permission bits (`0o7777`).
    var permissions: UInt16
    var uid: UInt32
    var gid: UInt32
}

/// What is under a name just now.
enum Occupant: Hashable, Sendable {
    case none
    /// The version is nil while nothing of it is in the bucket.
    case file(InodeNumber, ObjectVersion?)
    case symbolicLink(InodeNumber, ObjectVersion?)
    case directory(InodeNumber)

    /// Nil when the name does not exist.
    var inode: InodeNumber? {
        switch self {
        case .none: nil
        case .file(let inode, _), .symbolicLink(let inode, _), .directory(let inode): inode
        }
    }
}

/// The name an inode is found under.
struct NamePlace: Hashable, Sendable {
    var parent: InodeNumber
    var name: [UInt8]
}

/// What a rename did.
struct Moved: Hashable, Sendable {
    var inode: InodeNumber
    /// What had the new name; it lives on without a name for those who use it.
    var replaced: InodeNumber?
}

/// Whether a directory has an object of its own (`dir/`) in the bucket.
enum MarkerState: Hashable, Sendable {
    case unknown, absent, present
}

/// What memory knows of a directory's emptiness; the bucket may hold more.
struct DirectoryContents: Hashable, Sendable {
    /// A name that exists by local truth, settled or not: the directory is not empty.
    var hasLocalNames: Bool
    /// Names removed here, which a listing may still show: their keys do not count.
    var removed: Set<[UInt8]>
    /// A complete and fresh listing, with the changes made here, shows no name.
    var isKnownEmpty: Bool
    /// The same shows one.
    var isKnownFull: Bool
}
