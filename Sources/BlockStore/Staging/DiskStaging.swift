// The staging area on the local disk.
//
//     DIR/staged/SOURCE-RANDOM/   one for each running mount, 0700
//         lock                    held (flock) while the mount lives
//         journal.sqlite
//         FILE                    staged files, by random names
//
// SOURCE names the bucket and BasePath. At its start a mount takes over the directories of the same
// source whose mounts are dead: their files first, then their records, so that a crash in between
// loses neither.

import COpenSSL
import CPlatform
import Glibc
public import Logging

/// The staging area of one mount.
public final class DiskStaging: StagingStorage {
    private let directory: Descriptor
    private let lock: Descriptor
    private let path: String
    private let space: StagingSpace
    private let records: SQLiteJournal
    private let logger: Logger

    public var journal: any Journal { records }

    /// Opens or makes the staging area of a source.
    ///
    /// - Parameters:
    ///   - directory: the cache directory.
    ///   - source: endpoint, bucket and BasePath.
    ///   - limit: bytes of staged files.
    ///   - keepFree: bytes of the disk that are left to others.
    /// - Throws: when the directory cannot be used: nothing can be written then.
    public init(
        directory: String, source: String, limit: Int64, keepFree: Int64, logger: Logger
    ) throws(BlockStoreError) {
        self.logger = logger
        let cache = try CacheDirectory(path: directory)
        let staged = try CacheDirectory.folder(cache.root.fd, "staged", in: directory)
        let prefix = Self.name(of: source)
        var mine: Area?
        var others: [Area] = []
        for name in CacheDirectory.names(of: staged.fd) where name.hasPrefix(prefix + "-") {
            guard let area = Area(staged, name, create: false) else { continue }
            if mine == nil { mine = area } else { others.append(area) }
        }
        let fresh = prefix + "-" + Self.randomName()
        guard let mine = mine ?? Area(staged, fresh, create: true) else {
            throw BlockStoreError("staging directory cannot be made", directory, errno: errno)
        }
        self.directory = mine.directory
        lock = mine.lock
        path = directory + "/staged/" + mine.name
        records = try Self.openJournal(path, logger)
        space = StagingSpace(limit: limit, keepFree: keepFree) { cache.freeBytes() }
        for other in others { takeOver(other, staged, directory) }
    }

    /// A staging directory that is locked by us.
    private struct Area {
        var name: String
        var directory: Descriptor
        var lock: Descriptor

        /// Nil when another process has it, or it cannot be opened.
        init?(_ parent: Descriptor, _ name: String, create: Bool) {
            if create, unsafe mkdirat(parent.fd, name, 0o700) != 0 { return nil }
            let fd = unsafe pail_openat(
                parent.fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
            guard fd >= 0 else { return nil }
            directory = Descriptor(fd)
            let lock = unsafe pail_openat(
                fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
            guard lock >= 0 else { return nil }
            self.lock = Descriptor(lock)
            self.name = name
            guard flock(lock, LOCK_EX | LOCK_NB) == 0 else { return nil }
        }
    }

    /// A damaged journal is set aside, never removed: it may name files that are nowhere else.
    private static func openJournal(
        _ path: String, _ logger: Logger
    ) throws(BlockStoreError) -> SQLiteJournal {
        let file = path + "/journal.sqlite"
        do { return try SQLiteJournal(path: file) } catch {
            let aside = file + ".damaged-" + randomName()
            logger.error("the journal \(file) is damaged (\(error)); kept as \(aside)")
            _ = unsafe rename(file, aside)
            unsafe unlink(file + "-wal")
            unsafe unlink(file + "-shm")
        }
        do { return try SQLiteJournal(path: file) } catch {
            throw BlockStoreError("cache directory \(path): no journal can be made: \(error)")
        }
    }

    private func takeOver(_ other: Area, _ parent: Descriptor, _ cache: String) {
        let from = cache + "/staged/" + other.name
        guard let old = try? SQLiteJournal(path: from + "/journal.sqlite") else {
            logger.error("the journal in \(from) cannot be read; left there")
            return
        }
        do throws(StagingError) {
            let known = Set(try records.records().map(\.record))
            for name in CacheDirectory.names(of: other.directory.fd) where Self.isStaged(name) {
                let result = unsafe pail_renameat2(
                    other.directory.fd, name, directory.fd, name, 0)
                if result != 0 { throw .failed(-result) }
            }
            for (_, record) in try old.records() where !known.contains(record) {
                _ = try records.put(record, id: nil, durable: true)
            }
        } catch {
            logger.error("what is staged in \(from) cannot be taken over (\(error)); left there")
            return
        }
        old.close()
        for name in CacheDirectory.names(of: other.directory.fd) {
            unsafe unlinkat(other.directory.fd, name, 0)
        }
        unsafe unlinkat(parent.fd, other.name, AT_REMOVEDIR)
    }

    // MARK: Files

    public func makeFile() throws(StagingError) -> any StagedFile {
        let name = Self.randomName()
        let fd = unsafe pail_openat(
            directory.fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        try DiskStagedFile.check(fd)
        return DiskStagedFile(name: name, file: Descriptor(fd), directory: directory)
    }

    public func file(named name: String) -> (any StagedFile)? {
        guard Self.isStaged(name) else { return nil }
        let fd = unsafe pail_openat(directory.fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0)
        guard fd >= 0 else { return nil }
        return DiskStagedFile(name: name, file: Descriptor(fd), directory: directory)
    }

    public func removeOrphans(keeping names: Set<String>) {
        for name in CacheDirectory.names(of: directory.fd)
        where Self.isStaged(name) && !names.contains(name) {
            unsafe unlinkat(directory.fd, name, 0)
        }
    }

    /// Closes the journal, and removes the directory when nothing is left in it.
    public func close() {
        let isEmpty = (try? records.records().isEmpty) ?? false
        records.close()
        guard isEmpty, !CacheDirectory.names(of: directory.fd).contains(where: Self.isStaged) else {
            return
        }
        for name in CacheDirectory.names(of: directory.fd) {
            unsafe unlinkat(directory.fd, name, 0)
        }
        unsafe rmdir(path)
    }

    // MARK: Space

    public func claim(_ bytes: Int64) -> Bool { space.claim(bytes) }
    public func release(_ bytes: Int64) { space.release(bytes) }
    public func whenReleased(_ body: @escaping @Sendable () -> Void) { space.whenReleased(body) }
    public var usage: (claimed: Int64, limit: Int64) { (space.claimed, space.limit) }

    // MARK: Names

    private static func isStaged(_ name: String) -> Bool {
        name.utf8.count == 16
            && name.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
            }
    }

    private static func randomName() -> String {
        let digits = String(UInt64.random(in: 0 ... .max), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// FNV-1a of the source in hex: only to find one's own, nothing depends on it being unique.
    private static func name(of source: String) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in source.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return String(hash, radix: 16)
    }
}
