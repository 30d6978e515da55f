// The staging area of one mount process: its directory below staged/, its files, its journal and its
// account. What an earlier life of the same source has left is taken over when it is opened.
//
// Never evicts and never removes a file by itself, but what `removeOrphans` names. Never touches the
// directory of a living process or of another source.
//
// Locks: those of the account and the journal, each a leaf.

import CPlatform
import Glibc
public import Logging

/// The staging area on the local disk.
public final class DiskStaging: StagingStorage {
    private let directory: CacheDirectory
    private let own: StagingFolder
    private let account: StagingAccount
    private let records: SQLiteJournal

    public var journal: any Journal { records }
    public var usage: (claimed: Int64, limit: Int64) { (account.claimed, account.limit) }

    /// - Parameters:
    ///   - path: the cache directory.
    ///   - store, basePath: whose bytes these are; both must be the same for a later life to find them.
    ///   - limit: the most bytes to be claimed.
    ///   - keepFree: bytes of the disk left to others.
    public init(
        directory path: String, store: String, basePath: String, limit: Int64, keepFree: Int64,
        logger: Logger
    ) throws(BlockStoreError) {
        let directory = try CacheDirectory(path: path)
        self.directory = directory
        let source = Array("pail staging 1\0\(store)\0\(basePath)\0".utf8)
        account = StagingAccount(limit: limit, keepFree: keepFree) { directory.freeBytes() }
        var taken: [(folder: StagingFolder, journal: SQLiteJournal)] = []
        for id in StagingFolder.names(directory.staged).sorted() where !id.hasSuffix(".damaged") {
            guard let folder = StagingFolder.adopt(id, source: source, in: directory.staged),
                let journal = Self.openJournal(folder, directory, logger)
            else { continue }
            taken.append((folder, journal))
        }
        do {
            if taken.isEmpty {
                let folder = try StagingFolder.make(source: source, in: directory.staged)
                let journal = try SQLiteJournal(path: Self.journalPath(folder, directory))
                taken.append((folder, journal))
            }
            (own, records) = taken[0]
            guard fsync(own.folder.fd) == 0 else { throw StagingError(errno: errno) }
        } catch {
            throw BlockStoreError("cache directory \(path): staged files: \(error)")
        }
        for (folder, journal) in taken.dropFirst() {
            do {
                try merge(folder, journal)
            } catch {
                // It stays whole where it is, for the next life.
                logger.warning(
                    "cache \(path): staged/\(folder.id) cannot be taken over now: \(error); it is kept"
                )
            }
        }
    }

    private static func journalPath(_ folder: StagingFolder, _ directory: CacheDirectory) -> String
    {
        "\(directory.path)/staged/\(folder.id)/journal.sqlite"
    }

    /// Opens the journal of an adopted directory and finishes what a crash has broken off. A
    /// directory whose journal is damaged is set aside with all its files.
    private static func openJournal(
        _ folder: StagingFolder, _ directory: CacheDirectory, _ logger: Logger
    ) -> SQLiteJournal? {
        let place = "cache \(directory.path): staged/\(folder.id)"
        do {
            let journal = try SQLiteJournal(path: journalPath(folder, directory))
            for source in try journal.announced() {
                var status = stat()
                let result = unsafe fstatat(
                    folder.folder.fd, "taken-\(source)", &status, AT_SYMLINK_NOFOLLOW)
                if result != 0, errno != ENOENT { throw StagingError(errno: errno) }
                try journal.settle(source, arrived: result == 0)
            }
            for name in folder.names where name.hasPrefix("taken-") {
                unsafe unlinkat(folder.folder.fd, name, 0)
            }
            return journal
        } catch is SQLiteJournal.Damaged {
            let result = unsafe pail_renameat2(
                directory.staged.fd, folder.id, directory.staged.fd, folder.id + ".damaged", 0)
            logger.error(
                "\(place): journal.sqlite is damaged: \(result == 0 ? "set aside as staged/\(folder.id).damaged" : "left alone"); files written but not uploaded may be in it"
            )
        } catch is SQLiteJournal.TooNew {
            logger.warning("\(place): written by a newer pail: update this one; left alone")
        } catch {
            logger.warning("\(place): journal.sqlite: \(error); left alone")
        }
        return nil
    }

    /// Takes over records and files of another directory. The one moment at which they change hands
    /// is the rename of its owner file: a crash before leaves all with the other, one after with us.
    private func merge(_ other: StagingFolder, _ journal: SQLiteJournal) throws {
        for name in other.names where name.hasPrefix(StagingFolder.filePrefix) {
            let result = unsafe linkat(other.folder.fd, name, own.folder.fd, name, 0)
            if result != 0, errno != EEXIST { throw StagingError(errno: errno) }
        }
        guard fsync(own.folder.fd) == 0 else { throw StagingError(errno: errno) }
        try records.announce(journal.records().map(\.record), from: other.id)
        let taken = "taken-\(other.id)"
        let result = unsafe pail_renameat2(
            other.folder.fd, "owner", own.folder.fd, taken, pail_RENAME_NOREPLACE)
        guard result == 0 else {
            try? records.settle(other.id, arrived: false)
            throw StagingError(errno: -result)
        }
        for fd in [own.folder.fd, other.folder.fd] where fsync(fd) != 0 {
            throw StagingError(errno: errno)
        }
        try records.settle(other.id, arrived: true)
        journal.close()
        other.removeAll(in: directory.staged)
        unsafe unlinkat(own.folder.fd, taken, 0)
    }

    public func makeFile() throws(StagingError) -> any StagedFile {
        let name = StagingFolder.filePrefix + StagingFolder.randomName
        return DiskStagedFile(
            name: name, file: try open(name, O_CREAT | O_EXCL), in: own.folder)
    }

    public func file(named name: String) -> (any StagedFile)? {
        guard name.hasPrefix(StagingFolder.filePrefix), !name.contains("/"),
            let file = try? open(name, 0)
        else { return nil }
        return DiskStagedFile(name: name, file: file, in: own.folder)
    }

    private func open(_ name: String, _ flags: Int32) throws(StagingError) -> Descriptor {
        let fd = unsafe pail_openat(
            own.folder.fd, name, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard fd >= 0 else { throw StagingError(errno: -fd) }
        return Descriptor(fd)
    }

    /// Removes files that no record names: a crash came between the file and its record. Call it
    /// before the first `makeFile`.
    public func removeOrphans(keeping names: Set<String>) {
        for name in own.names
        where name.hasPrefix(StagingFolder.filePrefix) && !names.contains(name) {
            unsafe unlinkat(own.folder.fd, name, 0)
        }
    }

    public func claim(_ bytes: Int64) -> Bool { account.claim(bytes) }
    public func release(_ bytes: Int64) { account.release(bytes) }
    public func whenReleased(_ body: @escaping @Sendable () -> Void) { account.whenReleased(body) }

    /// Counts the bytes of files that an earlier life has left, whatever the limit says.
    public func claimPresent(_ bytes: Int64) { account.claimPresent(bytes) }

    /// Call last. Removes the directory when there is nothing in it for a later life.
    public func close() {
        let isEmpty = (try? records.records().isEmpty) ?? false
        records.close()
        guard isEmpty, !own.names.contains(where: { $0.hasPrefix(StagingFolder.filePrefix) })
        else { return }
        own.removeAll(in: directory.staged)
    }
}
