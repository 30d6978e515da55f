// The words spoken between the kernel side (Fuse) and the file system: neither imports the other.

public import Buffers

/// An inode number as the kernel knows it. 1 is the root (FUSE_ROOT_ID).
public typealias InodeNumber = UInt64

/// A number that names an open file or directory between open and release.
public typealias HandleNumber = UInt64

/// What `stat(2)` tells of a file.
public struct FileAttributes: Hashable, Sendable {
    /// What kind of file it is.
    public enum Kind: UInt8, Sendable {
        case file, directory, symbolicLink
        /// Only in names that readdir gives (DT_UNKNOWN): whoever wants to know must look it up.
        case unknown
    }

    public var inode: InodeNumber
    public var kind: Kind
    /// Permission bits only (`0o7777`).
    public var permissions: UInt16
    public var linkCount: UInt32
    public var uid: UInt32
    public var gid: UInt32
    /// Bytes.
    public var size: Int64
    /// Time of the last change of the data (`st_mtim`), since 1970-01-01T00:00:00Z, in nanoseconds.
    public var modified: Int64
    /// Time of the last change of data or attributes (`st_ctim`), likewise. The access time is not
    /// kept and shown as `modified`.
    public var changed: Int64
    /// Preferred transfer size in bytes (`st_blksize`).
    public var blockSize: UInt32

    public init(
        inode: InodeNumber, kind: Kind, permissions: UInt16, linkCount: UInt32 = 1, uid: UInt32,
        gid: UInt32, size: Int64, modified: Int64, changed: Int64? = nil,
        blockSize: UInt32 = 1 << 20
    ) {
        self.inode = inode
        self.kind = kind
        self.permissions = permissions
        self.linkCount = linkCount
        self.uid = uid
        self.gid = gid
        self.size = size
        self.modified = modified
        self.changed = changed ?? modified
        self.blockSize = blockSize
    }
}

/// Attributes and for how long the kernel may believe them.
public struct AttributesAnswer: Sendable {
    public var attributes: FileAttributes
    public var timeout: Duration

    public init(attributes: FileAttributes, timeout: Duration) {
        self.attributes = attributes
        self.timeout = timeout
    }
}

/// The answer of a lookup. `attributes == nil` is a negative entry: the name does not exist, and the
/// kernel may remember that for `entryTimeout`. A positive answer counts one lookup on the inode
/// (until `forget`).
public struct EntryAnswer: Sendable {
    public var attributes: FileAttributes?
    public var entryTimeout: Duration
    public var attributesTimeout: Duration

    public init(
        attributes: FileAttributes?, entryTimeout: Duration, attributesTimeout: Duration
    ) {
        self.attributes = attributes
        self.entryTimeout = entryTimeout
        self.attributesTimeout = attributesTimeout
    }
}

/// The answer of an open.
public struct OpenAnswer: Sendable {
    public var handle: HandleNumber
    /// Files: the kernel keeps the pages it has (FOPEN_KEEP_CACHE). Directories: it may cache the
    /// names and keeps those it has (FOPEN_CACHE_DIR, FOPEN_KEEP_CACHE).
    public var keepCache: Bool
    /// Directories only: the kernel may cache the names.
    public var cacheDirectory: Bool

    public init(handle: HandleNumber, keepCache: Bool = false, cacheDirectory: Bool = false) {
        self.handle = handle
        self.keepCache = keepCache
        self.cacheDirectory = cacheDirectory
    }
}

/// Bytes read, in order, as pieces of pooled buffers; empty at the end of the file. The buffers stay
/// alive until the answer has been written to the kernel.
public struct ReadAnswer: Sendable {
    /// A piece of one buffer: `offset..<offset + count` within it.
    public struct Piece: Sendable {
        public var buffer: Buffer
        public var offset: Int
        public var count: Int

        public init(buffer: Buffer, offset: Int, count: Int) {
            self.buffer = buffer
            self.offset = offset
            self.count = count
        }
    }

    public var pieces: [Piece]

    public init(pieces: [Piece]) { self.pieces = pieces }

    /// Bytes in all pieces.
    public var count: Int { pieces.reduce(0) { $0 + $1.count } }
}

/// What `statvfs(3)` tells.
public struct FileSystemStatistics: Sendable {
    public var blockSize: UInt64
    public var blocks: UInt64
    public var freeBlocks: UInt64
    public var files: UInt64
    public var freeFiles: UInt64
    public var nameLimit: UInt64

    public init(
        blockSize: UInt64, blocks: UInt64, freeBlocks: UInt64, files: UInt64, freeFiles: UInt64,
        nameLimit: UInt64
    ) {
        self.blockSize = blockSize
        self.blocks = blocks
        self.freeBlocks = freeBlocks
        self.files = files
        self.freeFiles = freeFiles
        self.nameLimit = nameLimit
    }
}

/// The answer of a readdir: a packed page that is filled name by name. Answered once, like `Reply`.
public protocol DirectoryReply: AnyObject, Sendable {
    /// Adds one name.
    ///
    /// - Parameters:
    ///   - name: the name's bytes, without NUL or `/`.
    ///   - attributes: full attributes for readdirplus; for plain readdir only `inode` and `kind` count.
    ///   - entryTimeout: for readdirplus; nil adds the name without counting a lookup (`.`, `..`).
    ///   - nextOffset: the position to continue from after this name (`d_off`, never 0).
    /// - Returns: false when the page is full; the name was then not added.
    func add(
        name: some Collection<UInt8>, attributes: FileAttributes, entryTimeout: Duration?,
        attributesTimeout: Duration, nextOffset: UInt64
    ) -> Bool

    /// Sends the page; an empty page is the end of the directory.
    func finish()

    /// Answers with an error instead.
    func fail(_ errno: Errno)

    /// True when the kernel asked for attributes too.
    var plus: Bool { get }
}

/// The operations of a file system, one method each. A method that can answer from memory answers
/// before it returns; otherwise it keeps the reply and returns. None of them waits for the network.
///
/// Names and links are bytes, as Linux has them, without NUL.
public protocol FileOperations: AnyObject, Sendable {
    func lookup(parent: InodeNumber, name: [UInt8], reply: Reply<EntryAnswer>)
    /// The kernel forgets `count` lookups of an inode.
    func forget(inode: InodeNumber, count: UInt64)
    func getAttributes(
        inode: InodeNumber, handle: HandleNumber?, reply: Reply<AttributesAnswer>)
    func readLink(inode: InodeNumber, reply: Reply<[UInt8]>)
    /// - Parameter flags: `O_*` as in open(2), without O_CREAT, O_EXCL, O_NOCTTY. O_TRUNC, where the
    ///   kernel leaves it to the file system, empties the file.
    func open(inode: InodeNumber, flags: Int32, reply: Reply<OpenAnswer>)
    func read(
        inode: InodeNumber, handle: HandleNumber, offset: Int64, size: Int,
        reply: Reply<ReadAnswer>)
    /// close(2) of one descriptor of the handle: there may be more (dup, fork), and writes after it.
    func flush(inode: InodeNumber, handle: HandleNumber, reply: Reply<Void>)
    func release(inode: InodeNumber, handle: HandleNumber, reply: Reply<Void>)
    func openDirectory(inode: InodeNumber, reply: Reply<OpenAnswer>)
    /// - Parameter offset: 0, or a `nextOffset` given before (also of an earlier page).
    func readDirectory(
        inode: InodeNumber, handle: HandleNumber, offset: UInt64, reply: any DirectoryReply)
    func releaseDirectory(inode: InodeNumber, handle: HandleNumber, reply: Reply<Void>)
    func statFileSystem(inode: InodeNumber, reply: Reply<FileSystemStatistics>)
    /// ENODATA when there is no such attribute.
    func getExtendedAttribute(inode: InodeNumber, name: [UInt8], reply: Reply<[UInt8]>)
    func listExtendedAttributes(inode: InodeNumber, reply: Reply<[[UInt8]]>)

    // MARK: Changing names

    /// Creates a regular file and opens it.
    ///
    /// - Parameters:
    ///   - permissions: mode bits, umask applied.
    ///   - flags: `O_*` as in open(2); with O_EXCL the name must not exist. Without, the kernel asks
    ///     only when its lookup found nothing, but the name may exist by now: it is then opened.
    func create(
        parent: InodeNumber, name: [UInt8], permissions: UInt16, flags: Int32, caller: Caller,
        reply: Reply<CreateAnswer>)
    /// mknod(2) of a regular file.
    func makeFile(
        parent: InodeNumber, name: [UInt8], permissions: UInt16, caller: Caller,
        reply: Reply<EntryAnswer>)
    func makeDirectory(
        parent: InodeNumber, name: [UInt8], permissions: UInt16, caller: Caller,
        reply: Reply<EntryAnswer>)
    func makeSymbolicLink(
        parent: InodeNumber, name: [UInt8], target: [UInt8], caller: Caller,
        reply: Reply<EntryAnswer>)
    func unlink(parent: InodeNumber, name: [UInt8], reply: Reply<Void>)
    func removeDirectory(parent: InodeNumber, name: [UInt8], reply: Reply<Void>)
    func rename(
        parent: InodeNumber, name: [UInt8], newParent: InodeNumber, newName: [UInt8],
        flags: RenameFlags, reply: Reply<Void>)

    // MARK: Changing files
    //
    // The kernel leaves it to the file system to take set-user-ID, and set-group-ID of what the group
    // may execute, from a file that is written, cut or given to another owner (HANDLE_KILLPRIV).

    /// - Parameter handle: the open file that ftruncate(2) or futimens(3) was called on, if any.
    func setAttributes(
        inode: InodeNumber, handle: HandleNumber?, changes: AttributeChanges, caller: Caller,
        reply: Reply<AttributesAnswer>)
    /// - Parameter bytes: valid only during the call.
    /// - Returns: through `reply`, how many bytes were taken: all of them, or an error.
    func write(
        inode: InodeNumber, handle: HandleNumber, offset: Int64, bytes: UnsafeRawBufferPointer,
        reply: Reply<Int>)
    /// fsync(2), or fdatasync(2) with `dataOnly`.
    func synchronize(
        inode: InodeNumber, handle: HandleNumber, dataOnly: Bool, reply: Reply<Void>)
    /// fsync(2) of an open directory.
    func synchronizeDirectory(inode: InodeNumber, handle: HandleNumber, reply: Reply<Void>)
    /// - Parameter mode: `FALLOC_FL_*`, as in fallocate(2).
    func allocate(
        inode: InodeNumber, handle: HandleNumber, mode: Int32, offset: Int64, length: Int64,
        reply: Reply<Void>)
    /// copy_file_range(2). EXDEV or EOPNOTSUPP make the caller copy by reading and writing.
    func copyRange(
        from source: FileRange, to target: FileRange, length: Int64, reply: Reply<Int>)
    /// lseek(2) with SEEK_DATA or SEEK_HOLE.
    func seek(
        inode: InodeNumber, handle: HandleNumber, offset: Int64, whence: Int32,
        reply: Reply<Int64>)
    /// - Parameter flags: XATTR_CREATE (1), XATTR_REPLACE (2) or 0.
    func setExtendedAttribute(
        inode: InodeNumber, name: [UInt8], value: [UInt8], flags: Int32, reply: Reply<Void>)
    func removeExtendedAttribute(inode: InodeNumber, name: [UInt8], reply: Reply<Void>)
}

/// A file system that changes nothing has the changing operations already: each is EROFS.
extension FileOperations {
    public func create(
        parent: InodeNumber, name: [UInt8], permissions: UInt16, flags: Int32, caller: Caller,
        reply: Reply<CreateAnswer>
    ) { reply.fail(.readOnly) }
    public func makeFile(
        parent: InodeNumber, name: [UInt8], permissions: UInt16, caller: Caller,
        reply: Reply<EntryAnswer>
    ) { reply.fail(.readOnly) }
    public func makeDirectory(
        parent: InodeNumber, name: [UInt8], permissions: UInt16, caller: Caller,
        reply: Reply<EntryAnswer>
    ) { reply.fail(.readOnly) }
    public func makeSymbolicLink(
        parent: InodeNumber, name: [UInt8], target: [UInt8], caller: Caller,
        reply: Reply<EntryAnswer>
    ) { reply.fail(.readOnly) }
    public func unlink(parent: InodeNumber, name: [UInt8], reply: Reply<Void>) {
        reply.fail(.readOnly)
    }
    public func removeDirectory(parent: InodeNumber, name: [UInt8], reply: Reply<Void>) {
        reply.fail(.readOnly)
    }
    public func rename(
        parent: InodeNumber, name: [UInt8], newParent: InodeNumber, newName: [UInt8],
        flags: RenameFlags, reply: Reply<Void>
    ) { reply.fail(.readOnly) }
    public func setAttributes(
        inode: InodeNumber, handle: HandleNumber?, changes: AttributeChanges, caller: Caller,
        reply: Reply<AttributesAnswer>
    ) { reply.fail(.readOnly) }
    public func write(
        inode: InodeNumber, handle: HandleNumber, offset: Int64, bytes: UnsafeRawBufferPointer,
        reply: Reply<Int>
    ) { reply.fail(.readOnly) }
    public func synchronize(
        inode: InodeNumber, handle: HandleNumber, dataOnly: Bool, reply: Reply<Void>
    ) { reply.succeed() }
    public func synchronizeDirectory(
        inode: InodeNumber, handle: HandleNumber, reply: Reply<Void>
    ) { reply.succeed() }
    public func allocate(
        inode: InodeNumber, handle: HandleNumber, mode: Int32, offset: Int64, length: Int64,
        reply: Reply<Void>
    ) { reply.fail(.readOnly) }
    public func copyRange(
        from source: FileRange, to target: FileRange, length: Int64, reply: Reply<Int>
    ) { reply.fail(.readOnly) }
    public func seek(
        inode: InodeNumber, handle: HandleNumber, offset: Int64, whence: Int32,
        reply: Reply<Int64>
    ) { reply.fail(.notImplemented) }
    public func setExtendedAttribute(
        inode: InodeNumber, name: [UInt8], value: [UInt8], flags: Int32, reply: Reply<Void>
    ) { reply.fail(.readOnly) }
    public func removeExtendedAttribute(
        inode: InodeNumber, name: [UInt8], reply: Reply<Void>
    ) { reply.fail(.readOnly) }
}

/// Tells the kernel to drop what it cached. Calls only queue; a thread of its own sends them, so they
/// may be made under a lock.
public protocol KernelNotifier: AnyObject, Sendable {
    /// Drops the cached pages `offset..<offset+length` (length 0: to the end) and the attributes.
    func invalidateInode(_ inode: InodeNumber, offset: Int64, length: Int64)
    /// Drops the cached entry (positive or negative) of a name.
    func invalidateEntry(parent: InodeNumber, name: [UInt8])
}
