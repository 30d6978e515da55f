// The journal of a staging directory in SQLite.
//
// WAL mode: a commit survives the process without a sync. A durable put raises `synchronous` to FULL
// for its transaction, which syncs the log before the commit returns, and with it all that was
// written before. Source: https://sqlite.org/pragma.html#pragma_synchronous

import GRDB
import Glibc

/// Records by number.
final class SQLiteJournal: Journal {
    private let database: DatabaseQueue

    /// - Throws: SQLite's errors.
    init(path: String) throws {
        var configuration = Configuration()
        configuration.journalMode = .wal
        configuration.busyMode = .timeout(5)
        configuration.label = "pail-journal"
        database = try DatabaseQueue(path: path, configuration: configuration)
        try database.write { database in
            // AUTOINCREMENT: a number is never used again.
            try database.execute(
                sql: """
                    CREATE TABLE IF NOT EXISTS records (
                        id INTEGER PRIMARY KEY AUTOINCREMENT, record BLOB NOT NULL)
                    """)
        }
    }

    func put(
        _ record: [UInt8], id: Int64?, durable: Bool
    ) throws(StagingError) -> Int64 {
        try Self.translated {
            try database.writeWithoutTransaction { database in
                if durable { try database.execute(sql: "PRAGMA synchronous = FULL") }
                defer {
                    if durable { try? database.execute(sql: "PRAGMA synchronous = NORMAL") }
                }
                if let id {
                    try database.execute(
                        sql: "INSERT OR REPLACE INTO records (id, record) VALUES (?, ?)",
                        arguments: [id, DataOfBytes(record).value])
                    return id
                }
                try database.execute(
                    sql: "INSERT INTO records (record) VALUES (?)",
                    arguments: [DataOfBytes(record).value])
                return database.lastInsertedRowID
            }
        }
    }

    func remove(_ id: Int64) throws(StagingError) {
        try Self.translated {
            try database.writeWithoutTransaction { database in
                try database.execute(sql: "DELETE FROM records WHERE id = ?", arguments: [id])
            }
        }
    }

    func records() throws(StagingError) -> [(id: Int64, record: [UInt8])] {
        try Self.translated {
            try database.read { database in
                try Row.fetchAll(database, sql: "SELECT id, record FROM records ORDER BY id").map {
                    ($0[0] as Int64, DataOfBytes.bytes($0[1]))
                }
            }
        }
    }

    /// Closes the database; nothing is called afterwards.
    func close() { try? database.close() }

    private static func translated<Value>(_ body: () throws -> Value) throws(StagingError) -> Value
    {
        do { return try body() } catch let error as DatabaseError {
            throw error.resultCode == .SQLITE_FULL ? .full : .failed(EIO)
        } catch { throw .failed(EIO) }
    }
}
