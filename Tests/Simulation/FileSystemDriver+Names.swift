// The kernel's calls that change names: create, mknod, mkdir, symlink, unlink, rmdir, rename.

public import Glibc
public import Operations

extension FileSystemDriver {
    /// Who asks, unless a test says otherwise.
    public static let caller = Caller(uid: 1000, gid: 1000)

    private static func text(_ name: [UInt8]) -> String { String(decoding: name, as: UTF8.self) }

    /// Counts the lookup that a positive entry carries.
    static func noteEntry(_ books: inout Books, _ entry: EntryAnswer) {
        guard let attributes = entry.attributes else { return }
        books.lookups[attributes.inode, default: 0] += 1
    }

    /// As CREATE.
    @discardableResult
    public func beginCreate(
        _ parent: InodeNumber, _ name: String, permissions: UInt16 = 0o644,
        flags: Int32 = O_RDWR, caller: Caller = FileSystemDriver.caller,
        then: @escaping @Sendable (Result<CreateAnswer, Errno>) -> Void = { _ in }
    ) -> Pending<CreateAnswer> {
        begin(
            "create \(parent) \(name)",
            { books, answer in
                Self.noteEntry(&books, answer.entry)
                books.files[answer.open.handle] = answer.entry.attributes?.inode ?? 0
            }, then: then,
            ask: {
                operations.create(
                    parent: parent, name: Array(name.utf8), permissions: permissions,
                    flags: flags, caller: caller, reply: $0)
            })
    }

    public func create(
        _ parent: InodeNumber, _ name: String, permissions: UInt16 = 0o644,
        flags: Int32 = O_RDWR
    ) throws(Errno) -> CreateAnswer {
        try value(beginCreate(parent, name, permissions: permissions, flags: flags))
    }

    private func entry(
        _ description: String, _ ask: (Reply<EntryAnswer>) -> Void
    ) throws(Errno) -> FileAttributes {
        let answer = try value(
            begin(description, { Self.noteEntry(&$0, $1) }, then: { _ in }, ask: ask))
        // A name that was just made cannot be answered as missing.
        guard let attributes = answer.attributes else { throw Errno(rawValue: EPROTO) }
        return attributes
    }

    private func done(_ description: String, _ ask: (Reply<Void>) -> Void) throws(Errno) {
        let pending: Pending<Void> = begin(description, { _, _ in }, then: { _ in }, ask: ask)
        try value(pending)
    }

    /// As MKNOD of a regular file.
    public func makeFile(
        _ parent: InodeNumber, _ name: String, permissions: UInt16 = 0o644
    ) throws(Errno) -> FileAttributes {
        try entry("mknod \(parent) \(name)") {
            operations.makeFile(
                parent: parent, name: Array(name.utf8), permissions: permissions,
                caller: Self.caller, reply: $0)
        }
    }

    /// As MKDIR.
    public func makeDirectory(
        _ parent: InodeNumber, _ name: String, permissions: UInt16 = 0o755
    ) throws(Errno) -> FileAttributes {
        try entry("mkdir \(parent) \(name)") {
            operations.makeDirectory(
                parent: parent, name: Array(name.utf8), permissions: permissions,
                caller: Self.caller, reply: $0)
        }
    }

    /// As SYMLINK.
    public func makeSymbolicLink(
        _ parent: InodeNumber, _ name: String, target: String
    ) throws(Errno) -> FileAttributes {
        try entry("symlink \(parent) \(name)") {
            operations.makeSymbolicLink(
                parent: parent, name: Array(name.utf8), target: Array(target.utf8),
                caller: Self.caller, reply: $0)
        }
    }

    /// As READLINK.
    public func readLink(_ inode: InodeNumber) throws(Errno) -> String {
        let pending: Pending<[UInt8]> = begin(
            "readlink \(inode)", { _, _ in }, then: { _ in },
            ask: { operations.readLink(inode: inode, reply: $0) })
        return Self.text(try value(pending))
    }

    /// As UNLINK.
    public func unlink(_ parent: InodeNumber, _ name: String) throws(Errno) {
        try done("unlink \(parent) \(name)") {
            operations.unlink(parent: parent, name: Array(name.utf8), reply: $0)
        }
    }

    /// As RMDIR.
    public func removeDirectory(_ parent: InodeNumber, _ name: String) throws(Errno) {
        try done("rmdir \(parent) \(name)") {
            operations.removeDirectory(parent: parent, name: Array(name.utf8), reply: $0)
        }
    }

    /// As RENAME2.
    @discardableResult
    public func beginRename(
        _ parent: InodeNumber, _ name: String, to newParent: InodeNumber, _ newName: String,
        flags: RenameFlags = [],
        then: @escaping @Sendable (Result<Void, Errno>) -> Void = { _ in }
    ) -> Pending<Void> {
        begin(
            "rename \(parent) \(name) to \(newParent) \(newName)", { _, _ in }, then: then,
            ask: {
                operations.rename(
                    parent: parent, name: Array(name.utf8), newParent: newParent,
                    newName: Array(newName.utf8), flags: flags, reply: $0)
            })
    }

    public func rename(
        _ parent: InodeNumber, _ name: String, to newParent: InodeNumber, _ newName: String,
        flags: RenameFlags = []
    ) throws(Errno) {
        try value(beginRename(parent, name, to: newParent, newName, flags: flags))
    }

    /// As SETXATTR.
    public func setExtendedAttribute(
        _ inode: InodeNumber, _ name: String, _ value: [UInt8], flags: Int32 = 0
    ) throws(Errno) {
        try done("setxattr \(inode) \(name)") {
            operations.setExtendedAttribute(
                inode: inode, name: Array(name.utf8), value: value, flags: flags, reply: $0)
        }
    }

    /// As REMOVEXATTR.
    public func removeExtendedAttribute(_ inode: InodeNumber, _ name: String) throws(Errno) {
        try done("removexattr \(inode) \(name)") {
            operations.removeExtendedAttribute(inode: inode, name: Array(name.utf8), reply: $0)
        }
    }

    /// As FSYNCDIR.
    public func synchronizeDirectory(_ handle: HandleNumber) throws(Errno) {
        let inode = books.withLock { $0.directories[handle] ?? 0 }
        try done("fsyncdir \(inode)") {
            operations.synchronizeDirectory(inode: inode, handle: handle, reply: $0)
        }
    }
}
