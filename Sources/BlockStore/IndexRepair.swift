// Opening the index whatever state it is in, and making it anew from the .map files.

import GRDB
import Glibc
import Logging

enum IndexRepair {
    /// Opens the index; a damaged one is moved aside and begun anew.
    ///
    /// - Returns: the index, and whether it is new and must be filled by `recount`.
    static func open(_ directory: CacheDirectory, _ logger: Logger) throws(BlockStoreError)
        -> (index: Index, isFresh: Bool)
    {
        let path = "\(directory.path)/index.sqlite"
        var status = stat()
        let isFresh = unsafe lstat(path, &status) != 0
        if !isFresh, status.st_mode & S_IFMT != S_IFREG {
            throw BlockStoreError(
                "cache directory \(directory.path): index.sqlite is no regular file: remove it")
        }
        do {
            return (try Index(path: path), isFresh)
        } catch is Index.TooNew {
            throw BlockStoreError(
                "cache directory \(directory.path) was made by a newer pail: "
                    + "update this one, or name another directory with --cache-dir")
        } catch let error as DatabaseError
            where error.resultCode == .SQLITE_CORRUPT || error.resultCode == .SQLITE_NOTADB
            || error.resultCode == .SQLITE_ERROR
        {
            logger.warning(
                "cache \(directory.path): index.sqlite is damaged; it is made anew, the old one is kept as index.sqlite.damaged"
            )
        } catch {
            throw BlockStoreError("cache directory \(directory.path): index.sqlite: \(error)")
        }
        setAside(directory)
        do {
            return (try Index(path: path), true)
        } catch {
            throw BlockStoreError("cache directory \(directory.path): index.sqlite: \(error)")
        }
    }

    /// Moves the index out of the way.
    static func setAside(_ directory: CacheDirectory) {
        let path = "\(directory.path)/index.sqlite"
        for suffix in ["", "-wal", "-shm"] {
            unsafe rename(path + suffix, path + ".damaged" + suffix)
        }
    }

    /// The index file's inode, 0 when there is none.
    static func inode(_ directory: CacheDirectory) -> UInt64 {
        var status = stat()
        return unsafe fstatat(directory.root.fd, "index.sqlite", &status, AT_SYMLINK_NOFOLLOW) == 0
            ? UInt64(status.st_ino) : 0
    }

    /// Owners that have ended without taking leave. Their claims stand until what they wrote last is
    /// recounted and `bury` is called: the limit holds all the while.
    static func deadOwners(_ index: Index, _ directory: CacheDirectory) throws -> [Owner.Dead] {
        try index.ownerNames().compactMap { Owner.dead($0, in: directory) }
    }

    /// Voids the claims of dead owners.
    static func bury(_ dead: [Owner.Dead], _ index: Index, _ directory: CacheDirectory) throws {
        for owner in dead {
            try index.removeOwner(owner.id)
            Owner.removeFile(owner.id, in: directory)
        }
    }

    /// Makes the index say what is on disk: adds and corrects objects, removes those that are gone,
    /// and deletes files that are nobody's.
    static func recount(_ index: Index, _ directory: CacheDirectory, now: Int64) throws {
        for folder in UInt8.min ... .max {
            _ = try recount(folder, index, directory, now: now)
        }
    }

    /// One folder's part of that.
    ///
    /// - Returns: the names of the objects in it.
    static func recount(_ folder: UInt8, _ index: Index, _ directory: CacheDirectory, now: Int64)
        throws -> [ObjectName]
    {
        let path = ObjectName(words: .init(a: UInt64(folder) << 56)).folder
        return try index.correct(folder: folder) { look(path, directory, now: now) }
    }

    private static func look(_ folder: String, _ directory: CacheDirectory, now: Int64)
        -> [Index.Change]
    {
        var changes: [Index.Change] = []
        for file in directory.names(in: folder) {
            let path = "\(folder)/\(file)"
            if file.hasSuffix(".data"), let name = ObjectName(hex: file.dropLast(5)) {
                var status = stat()
                let result = unsafe fstatat(directory.objects.fd, name.mapPath, &status, 0)
                if result != 0, errno == ENOENT { directory.removeObject(name) }
            } else if file.hasSuffix(".map"), let name = ObjectName(hex: file.dropLast(4)) {
                if let change = change(name, path, directory, now: now) { changes.append(change) }
            } else {
                unsafe unlinkat(directory.objects.fd, path, 0)
            }
        }
        return changes
    }

    /// What the index should say of an object; nil (and its data removed) when the map is damaged.
    private static func change(
        _ name: ObjectName, _ path: String, _ directory: CacheDirectory, now: Int64
    ) -> Index.Change? {
        let fd = directory.openObject(path, O_RDONLY)
        guard fd >= 0 else { return nil }
        defer { close(fd) }
        var status = stat()
        guard unsafe fstat(fd, &status) == 0 else { return nil }
        let written = Int64(status.st_mtim.tv_sec) * 1000
        let header = StoredObject.readMap(fd, 0, MapFormat.headerSize)
        guard let identity = MapFormat.identity(inHeader: header), ObjectName(identity) == name
        else {
            // A live process may be about to write it: it then loses this write, and no more. What a
            // dead one began would otherwise be in nobody's account.
            directory.removeObject(name)
            return nil
        }
        return Index.Change(
            name: name, identity: identity, bytes: directory.bytesOnDisk(name), used: written)
    }
}
