// What objects' metadata said, kept across mounts: a table of the cache directory from (store, key,
// ETag) to bytes that are opaque here. Shared by all its processes.
//
// A hint, never the truth of anything: a lost row costs a request. Bounded in rows, the least recently
// used go. A damaged file is made anew. Methods wait for the disk: call them on a work queue.
//
// Locks: one mutex around the open database; SQLite may work below it, only other calls here wait.

import GRDB
import Glibc
public import Logging
import Synchronization

/// Remembers attributes of object versions.
public protocol AttributeIndex: AnyObject, Sendable {
    /// What was noted for each version, in the order asked; nil for what is not known.
    func find(store: String, keys: [(key: [UInt8], etag: String)]) -> [[UInt8]?]
    /// Notes what versions have, in one transaction.
    func note(store: String, entries: [(key: [UInt8], etag: String, value: [UInt8])])
}

/// The one in the cache directory, in `attributes.sqlite`.
public final class DiskAttributeIndex: AttributeIndex {
    /// The file is of another version of the program.
    private struct OtherVersion: Error {}

    private static let version = 1
    private let path: String
    private let rows: Int
    private let logger: Logger
    /// Nil when it cannot be opened: nothing is known then.
    private let database = Mutex<DatabaseQueue?>(nil)

    /// - Parameter rows: the most to be kept.
    public init(directory: String, rows: Int = 1_000_000, logger: Logger) {
        path = "\(directory)/attributes.sqlite"
        self.rows = rows
        self.logger = logger
        database.withLock { $0 = openOrMakeAnew() }
    }

    public func find(store: String, keys: [(key: [UInt8], etag: String)]) -> [[UInt8]?] {
        guard !keys.isEmpty else { return [] }
        let none = [[UInt8]?](repeating: nil, count: keys.count)
        return attempt { queue in
            var found = none
            var old: [Int64] = []
            try queue.read { database in
                let last = try Self.lastUse(database)
                let statement = try database.cachedStatement(
                    sql: """
                        SELECT id, used, value FROM attributes
                        WHERE store = ? AND key = ? AND etag = ?
                        """)
                for (place, (key, etag)) in keys.enumerated() {
                    guard
                        let row = try Row.fetchOne(
                            statement, arguments: [store, DataOfBytes(key).value, etag])
                    else { continue }
                    found[place] = DataOfBytes.bytes(row[2])
                    // Only what has grown old is written: finding stays reading, mostly.
                    if last - row[1] > Int64(rows / 4) { old.append(row[0]) }
                }
            }
            if !old.isEmpty { try touch(old, queue) }
            return found
        } ?? none
    }

    private func touch(_ ids: [Int64], _ queue: DatabaseQueue) throws {
        try queue.write { database in
            var use = try Self.lastUse(database)
            let statement = try database.cachedStatement(
                sql: "UPDATE attributes SET used = ? WHERE id = ?")
            for id in ids {
                use += 1
                try statement.execute(arguments: [use, id])
            }
        }
    }

    public func note(store: String, entries: [(key: [UInt8], etag: String, value: [UInt8])]) {
        guard !entries.isEmpty else { return }
        _ = attempt { queue in
            try queue.write { database in
                var use = try Self.lastUse(database)
                let statement = try database.cachedStatement(
                    sql: """
                        INSERT INTO attributes (store, key, etag, value, used)
                        VALUES (?, ?, ?, ?, ?)
                        ON CONFLICT (store, key, etag)
                        DO UPDATE SET value = excluded.value, used = excluded.used
                        """)
                for entry in entries.suffix(rows) {
                    use += 1
                    try statement.execute(arguments: [
                        store, DataOfBytes(entry.key).value, entry.etag,
                        DataOfBytes(entry.value).value, use,
                    ])
                }
                let count = try Int.fetchOne(database, sql: "SELECT rows FROM total") ?? 0
                guard count > rows else { return }
                try database.execute(
                    sql: """
                        DELETE FROM attributes
                        WHERE id IN (SELECT id FROM attributes ORDER BY used LIMIT ?)
                        """, arguments: [count - rows])
            }
        }
    }

    /// Uses are counted, not timed: the clock may go back.
    private static func lastUse(_ database: Database) throws -> Int64 {
        try Int64.fetchOne(database, sql: "SELECT max(used) FROM attributes") ?? 0
    }

    // MARK: Opening

    private func attempt<Value>(_ work: (DatabaseQueue) throws -> Value) -> Value? {
        guard let queue = database.withLock({ $0 }) else { return nil }
        do {
            return try work(queue)
        } catch let error as DatabaseError where Self.isDamage(error) {
            database.withLock { current in
                // Another call may have made it anew meanwhile.
                if current === queue { current = makeAnew() }
            }
        } catch {
            logger.debug("\(path): \(error)")
        }
        return nil
    }

    private static func isDamage(_ error: DatabaseError) -> Bool {
        [.SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_ERROR].contains(error.resultCode)
    }

    private func openOrMakeAnew() -> DatabaseQueue? {
        do {
            return try open()
        } catch let error as DatabaseError where Self.isDamage(error) {
            return makeAnew()
        } catch {
            logger.warning("\(path): \(error); attributes are not kept across mounts")
            return nil
        }
    }

    private func makeAnew() -> DatabaseQueue? {
        logger.warning("\(path) is damaged; it is made anew")
        for suffix in ["", "-wal", "-shm"] { unsafe unlink(path + suffix) }
        return try? open()
    }

    private func open() throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.journalMode = .wal
        configuration.busyMode = .timeout(5)
        configuration.label = "pail-attributes"
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        try queue.write { database in
            let version = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
            if version > Self.version { throw OtherVersion() }
            if version == 0 { try database.execute(sql: Self.schema) }
        }
        return queue
    }

    private static let schema = """
        CREATE TABLE attributes (
            id INTEGER PRIMARY KEY, store TEXT NOT NULL, key BLOB NOT NULL, etag TEXT NOT NULL,
            value BLOB NOT NULL, used INTEGER NOT NULL, UNIQUE (store, key, etag));
        CREATE INDEX attributes_used ON attributes (used);
        CREATE TABLE total (rows INTEGER NOT NULL);
        INSERT INTO total VALUES (0);
        CREATE TRIGGER attributes_insert AFTER INSERT ON attributes BEGIN
            UPDATE total SET rows = rows + 1; END;
        CREATE TRIGGER attributes_delete AFTER DELETE ON attributes BEGIN
            UPDATE total SET rows = rows - 1; END;
        PRAGMA user_version = 1;
        """
}
