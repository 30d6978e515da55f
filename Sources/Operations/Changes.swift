// The words of changing operations.

/// Who asks, as the kernel says (`fuse_req_ctx`).
public struct Caller: Hashable, Sendable {
    public var uid: UInt32
    public var gid: UInt32

    public init(uid: UInt32, gid: UInt32) {
        self.uid = uid
        self.gid = gid
    }
}

/// The answer of a create: the name's entry (counting one lookup) and the open file.
public struct CreateAnswer: Sendable {
    public var entry: EntryAnswer
    public var open: OpenAnswer

    public init(entry: EntryAnswer, open: OpenAnswer) {
        self.entry = entry
        self.open = open
    }
}

/// What setattr changes; nil leaves a thing as it is.
public struct AttributeChanges: Hashable, Sendable {
    /// A time as utimensat(2) gives it.
    public enum Time: Hashable, Sendable {
        /// UTIME_NOW.
        case now
        /// Since 1970-01-01T00:00:00Z, in nanoseconds.
        case at(Int64)
    }

    /// Permission bits (`0o7777`).
    public var permissions: UInt16?
    public var uid: UInt32?
    public var gid: UInt32?
    /// Bytes.
    public var size: Int64?
    public var modified: Time?
    public var accessed: Time?

    public init(
        permissions: UInt16? = nil, uid: UInt32? = nil, gid: UInt32? = nil, size: Int64? = nil,
        modified: Time? = nil, accessed: Time? = nil
    ) {
        self.permissions = permissions
        self.uid = uid
        self.gid = gid
        self.size = size
        self.modified = modified
        self.accessed = accessed
    }
}

/// The flags of renameat2(2).
public struct RenameFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let noReplace = RenameFlags(rawValue: 1)
    public static let exchange = RenameFlags(rawValue: 2)
}

/// A place in an open file.
public struct FileRange: Hashable, Sendable {
    public var inode: InodeNumber
    public var handle: HandleNumber
    /// Bytes.
    public var offset: Int64

    public init(inode: InodeNumber, handle: HandleNumber, offset: Int64) {
        self.inode = inode
        self.handle = handle
        self.offset = offset
    }
}
