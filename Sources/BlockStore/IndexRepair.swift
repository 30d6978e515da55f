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
        for suffix in ["", "-wal", "-shm"] {
            unsafe rename(path + suffix, path + ".damaged" + suffix)
        }
        do {
            return (try Index(path: path), true)
        } catch {
            throw BlockStoreError("cache directory \(directory.path): index.sqlite: \(error)")
        }
    }

    /// Voids the claims of processes that have ended without taking leave.
    ///
    /// - Returns: true when there was one.
    static func removeDeadOwners(_ index: Index, _ directory: CacheDirectory) throws -> Bool {
        var found = false
        for id in try index.ownerNames() where Owner.isDead(id, in: directory) {
            try index.removeOwner(id)
            Owner.removeFile(id, in: directory)
            found = true
        }
        return found
    }

    /// Makes the index say what is on disk: adds and corrects objects, removes those that are gone,
    /// and deletes files that are nobody's.
    ///
    /// - Returns: the names of all objects on disk.
    static func recount(_ index: Index, _ directory: CacheDirectory, now: Int64) throws
        -> [ObjectName]
    {
        var names: Set<ObjectName> = []
        for folder in directory.names(in: "") where folder.utf8.count == 2 {
            var changes: [Index.Change] = []
            for file in directory.names(in: folder) {
                let path = "\(folder)/\(file)"
                if file.hasSuffix(".data"), let name = ObjectName(hex: file.dropLast(5)) {
                    var status = stat()
                    if unsafe fstatat(directory.objects.fd, name.mapPath, &status, 0) == 0 {
                        continue
                    }
                    directory.removeObject(name)
                } else if file.hasSuffix(".map"), let name = ObjectName(hex: file.dropLast(4)),
                    let change = change(name, path, directory)
                {
                    changes.append(change)
                    names.insert(name)
                } else {
                    unsafe unlinkat(directory.objects.fd, path, 0)
                }
            }
            if !changes.isEmpty { try index.correct(changes) }
        }
        var last: Int64 = 0
        while true {
            let (rows, next) = try index.rows(after: last, count: 10_000)
            guard !rows.isEmpty else { break }
            try index.remove(rows.map(\.name).filter { !names.contains($0) })
            last = next
        }
        return Array(names)
    }

    /// What the index should say of an object; nil (and its data removed) when the map is damaged.
    private static func change(_ name: ObjectName, _ path: String, _ directory: CacheDirectory)
        -> Index.Change?
    {
        let fd = directory.openObject(path, O_RDONLY)
        guard fd >= 0 else { return nil }
        defer { close(fd) }
        var status = stat()
        let header = StoredObject.readMap(fd, 0, MapFormat.headerSize)
        guard let identity = MapFormat.identity(inHeader: header), ObjectName(identity) == name,
            unsafe fstat(fd, &status) == 0
        else {
            directory.removeObject(name)
            return nil
        }
        return Index.Change(
            name: name, identity: identity, bytes: directory.bytesOnDisk(name),
            used: Int64(status.st_mtim.tv_sec) * 1000)
    }
}
