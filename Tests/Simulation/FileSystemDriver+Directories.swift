// The kernel's calls on directories.

import Glibc
public import Operations

extension FileSystemDriver {
    /// As OPENDIR.
    @discardableResult
    public func beginOpenDirectory(
        _ inode: InodeNumber,
        then: @escaping @Sendable (Result<OpenAnswer, Errno>) -> Void = { _ in }
    ) -> Pending<OpenAnswer> {
        begin(
            "opendir \(inode)", { $0.directories[$1.handle] = inode }, then: then,
            ask: {
                operations.openDirectory(inode: inode, reply: $0)
            })
    }

    public func openDirectory(_ inode: InodeNumber) throws(Errno) -> OpenAnswer {
        try value(beginOpenDirectory(inode))
    }

    /// As READDIR or READDIRPLUS, of at most `limit` names.
    @discardableResult
    public func beginReadDirectory(
        _ handle: HandleNumber, offset: UInt64, limit: Int, plus: Bool = true,
        then: @escaping @Sendable (Result<[DirectoryName], Errno>) -> Void = { _ in }
    ) -> PendingPage {
        let (id, inode) = books.withLock { books in
            books.nextID += 1
            return (books.nextID, books.directories[handle] ?? 0)
        }
        let page = PendingPage("readdir \(inode) at \(offset)", limit: limit, plus: plus) {
            [self] result in
            books.withLock { books in
                books.pending[id] = nil
                guard case .success(let names) = result else { return }
                for name in names where name.entryTimeout != nil {
                    books.lookups[name.attributes.inode, default: 0] += 1
                }
            }
            then(result)
        }
        books.withLock { $0.pending[id] = page }
        operations.readDirectory(inode: inode, handle: handle, offset: offset, reply: page)
        return page
    }

    public func readDirectory(
        _ handle: HandleNumber, offset: UInt64, limit: Int, plus: Bool = true
    ) throws(Errno) -> [DirectoryName] {
        let page = beginReadDirectory(handle, offset: offset, limit: limit, plus: plus)
        guard wait(for: page), let result = page.result else { throw Errno(rawValue: EDEADLK) }
        return try result.get()
    }

    /// As RELEASEDIR.
    public func beginCloseDirectory(
        _ handle: HandleNumber,
        then: @escaping @Sendable (Result<Void, Errno>) -> Void = { _ in }
    ) {
        guard let inode = books.withLock({ $0.directories.removeValue(forKey: handle) }) else {
            return then(.failure(.badHandle))
        }
        let _: Pending<Void> = begin(
            "releasedir \(inode)", { _, _ in }, then: then,
            ask: {
                operations.releaseDirectory(inode: inode, handle: handle, reply: $0)
            })
    }

    public func closeDirectory(_ handle: HandleNumber) throws(Errno) {
        try finished { beginCloseDirectory(handle, then: $0) }
    }

    /// All names of a directory, `.` and `..` left out, in pages of `limit`.
    public func names(
        _ inode: InodeNumber, limit: Int = 100, plus: Bool = true
    ) throws(Errno) -> [DirectoryName] {
        let handle = try openDirectory(inode).handle
        let result = Result { () throws(Errno) in
            var names: [DirectoryName] = []
            while true {
                let offset = names.last?.nextOffset ?? 0
                let page = try readDirectory(handle, offset: offset, limit: limit, plus: plus)
                if page.isEmpty { return names }
                names += page
            }
        }
        try closeDirectory(handle)
        return try result.get().filter { $0.text != "." && $0.text != ".." }
    }

}
