// The SQLite index: which objects are cached, how many bytes each has on disk and when it was last
// used, and how much space each running process has claimed. Never on the data path.
//
// It is an account, not the truth: the truth is in the .map files, and the index can be rebuilt from
// them. The sum of objects' bytes and claims is kept by triggers, so that a claim costs no scan.
//
// user_version 1. The journal of writes, the staged files and attributes by key + ETag get tables of
// their own with later versions.

import GRDB

/// The index of one cache directory; errors are SQLite's.
final class Index: Sendable {
    /// What a flush tells of an object.
    struct Change {
        var name: ObjectName
        var identity: ObjectIdentity
        /// Bytes on disk now; nil when the object was only used.
        var bytes: Int64?
        /// Milliseconds since 1970.
        var used: Int64
    }

    /// An object as the index knows it.
    struct Row {
        var name: ObjectName
        var identity: ObjectIdentity
        var bytes: Int64
        var used: Int64
    }

    /// The index is of a newer version of the program.
    struct TooNew: Error {}

    static let version = 1
    let database: DatabaseQueue

    init(path: String) throws {
        var configuration = Configuration()
        configuration.journalMode = .wal
        configuration.busyMode = .timeout(5)
        configuration.label = "pail-index"
        database = try DatabaseQueue(path: path, configuration: configuration)
        try database.write { database in
            let version = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
            if version > Self.version { throw TooNew() }
            if version == 0 { try database.execute(sql: Self.schema) }
        }
    }

    private static let schema = """
        CREATE TABLE objects (
            name BLOB NOT NULL PRIMARY KEY, store TEXT NOT NULL, key BLOB NOT NULL,
            etag TEXT NOT NULL, size INTEGER NOT NULL, bytes INTEGER NOT NULL,
            used INTEGER NOT NULL);
        CREATE INDEX objects_used ON objects (used);
        CREATE TABLE owners (id TEXT NOT NULL PRIMARY KEY, claimed INTEGER NOT NULL);
        CREATE TABLE settings (name TEXT NOT NULL PRIMARY KEY, value);
        INSERT INTO settings VALUES ('bytes', 0);
        CREATE TRIGGER objects_insert AFTER INSERT ON objects BEGIN
            UPDATE settings SET value = value + new.bytes WHERE name = 'bytes'; END;
        CREATE TRIGGER objects_update AFTER UPDATE OF bytes ON objects
            WHEN old.bytes <> new.bytes BEGIN
            UPDATE settings SET value = value + new.bytes - old.bytes WHERE name = 'bytes'; END;
        CREATE TRIGGER objects_delete AFTER DELETE ON objects BEGIN
            UPDATE settings SET value = value - old.bytes WHERE name = 'bytes'; END;
        PRAGMA user_version = 1;
        """

    /// Tells what was written and used since the last flush.
    ///
    /// - Parameters:
    ///   - claimed: as it was before `look` is called: what is written meanwhile then counts twice,
    ///     not never.
    ///   - look: finds how many bytes objects have. It does so within the transaction: another
    ///     process that writes to the same objects has told before or will tell after.
    func flush(owner: String, claimed: Int64, _ look: () -> [Change] = { [] }) throws {
        try database.write { database in
            for change in look() { try Self.apply(change, database) }
            try database.execute(
                sql: """
                    INSERT INTO owners VALUES (?, ?)
                    ON CONFLICT (id) DO UPDATE SET claimed = excluded.claimed
                    """, arguments: [owner, claimed])
        }
    }

    static func apply(_ change: Change, _ database: Database) throws {
        let name = DataOfBytes(change.name.bytes)
        guard let bytes = change.bytes else {
            try database.cachedStatement(
                sql: "UPDATE objects SET used = max(used, ?) WHERE name = ?"
            ).execute(arguments: [change.used, name.value])
            return
        }
        try database.cachedStatement(
            sql: """
                INSERT INTO objects (name, store, key, etag, size, bytes, used)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (name) DO UPDATE
                SET bytes = excluded.bytes, used = max(used, excluded.used)
                """
        ).execute(arguments: [
            name.value, change.identity.store, DataOfBytes(change.identity.key).value,
            change.identity.etag, change.identity.size, bytes, change.used,
        ])
    }

    /// Bytes of all objects and all claims, and of the claims alone.
    func totals() throws -> (all: Int64, claimed: Int64) {
        try database.read { try Self.totals($0) }
    }

    private static func totals(_ database: Database) throws -> (all: Int64, claimed: Int64) {
        let bytes =
            try Int64.fetchOne(database, sql: "SELECT value FROM settings WHERE name = 'bytes'")
            ?? 0
        let claimed =
            try Int64.fetchOne(database, sql: "SELECT coalesce(sum(claimed), 0) FROM owners") ?? 0
        return (bytes + claimed, claimed)
    }

    /// Raises `owner`'s claim by `more` if all fits below `limit` then, in one transaction. The claim
    /// in the index is what the owner has not told of yet, so it is never set to what is left of it in
    /// memory, except by a flush.
    func claim(owner: String, more: Int64, limit: Int64) throws -> Bool {
        try database.write { database in
            guard try Self.totals(database).all + more <= limit else { return false }
            try database.execute(
                sql: "UPDATE owners SET claimed = claimed + ? WHERE id = ?",
                arguments: [more, owner])
            return database.changesCount == 1
        }
    }

    /// Enters an owner. One that is there keeps its claim: it may not have told of what it wrote.
    func enter(owner: String, claimed: Int64) throws {
        try database.write {
            try $0.execute(
                sql: "INSERT INTO owners VALUES (?, ?) ON CONFLICT (id) DO NOTHING",
                arguments: [owner, claimed])
        }
    }

    /// Up to `count` names in the order they came to the index, after row `after`.
    func names(after: Int64, count: Int) throws -> (names: [ObjectName], last: Int64) {
        try database.read { database in
            let found = try GRDB.Row.fetchCursor(
                database.cachedStatement(
                    sql: "SELECT rowid, name FROM objects WHERE rowid > ? ORDER BY rowid LIMIT ?"),
                arguments: [after, count])
            var names: [ObjectName] = []
            var last = after
            while let row = try found.next() {
                last = row[0]
                if let name = ObjectName(bytes: DataOfBytes.bytes(row[1])) { names.append(name) }
            }
            return (names, last)
        }
    }

    /// A row of `objects`; nil when its name is none.
    static func row(_ row: GRDB.Row) -> Row? {
        guard let name = ObjectName(bytes: DataOfBytes.bytes(row["name"])) else { return nil }
        return Row(
            name: name,
            identity: ObjectIdentity(
                store: row["store"], key: DataOfBytes.bytes(row["key"]), etag: row["etag"],
                size: row["size"]),
            bytes: row["bytes"], used: row["used"])
    }

    static func remove(_ name: ObjectName, _ database: Database) throws {
        try database.cachedStatement(sql: "DELETE FROM objects WHERE name = ?")
            .execute(arguments: [DataOfBytes(name.bytes).value])
    }

    /// Makes the index agree with one folder's files, which are looked at within the transaction, so
    /// that no process can tell of what it writes in between.
    ///
    /// - Parameter folder: the names' first byte.
    /// - Parameter look: finds what is there.
    func correct(folder: UInt8, _ look: () -> [Change]) throws -> [ObjectName] {
        try database.write { database in
            let changes = look()
            let names = Set(changes.map(\.name))
            let low = DataOfBytes([folder]).value
            let high = DataOfBytes(
                folder == .max
                    ? [255] + Array(repeating: 255, count: 32)
                    : [folder + 1]
            ).value
            let known = try GRDB.Row.fetchAll(
                database, sql: "SELECT * FROM objects WHERE name >= ? AND name < ?",
                arguments: [low, high])
            for row in known.compactMap(Self.row) where !names.contains(row.name) {
                try Self.remove(row.name, database)
            }
            for change in changes { try Self.apply(change, database) }
            return Array(names)
        }
    }

    /// Every process that has the directory open, or died with it open.
    func ownerNames() throws -> [String] {
        try database.read { try String.fetchAll($0, sql: "SELECT id FROM owners") }
    }

    func removeOwner(_ id: String) throws {
        try database.write {
            try $0.execute(sql: "DELETE FROM owners WHERE id = ?", arguments: [id])
        }
    }

    /// Ends the use of the file.
    func close() { try? database.close() }

    /// A number kept for `pail cache show`.
    func setting(_ name: String) throws -> Int64? {
        try database.read {
            try Int64.fetchOne(
                $0, sql: "SELECT value FROM settings WHERE name = ?", arguments: [name])
        }
    }

    func set(_ name: String, _ value: Int64) throws {
        try database.write {
            try $0.execute(
                sql: "INSERT OR REPLACE INTO settings VALUES (?, ?)", arguments: [name, value])
        }
    }
}
