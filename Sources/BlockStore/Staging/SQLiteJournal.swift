// The staging area's journal: records by number in SQLite, in WAL mode.
//
// With synchronous NORMAL a commit is in the WAL file and survives the process. A durable put commits
// with synchronous FULL: SQLite then calls fsync on the WAL after writing the commit, and on its
// directory when the WAL is new. All earlier frames are in the same file, so they are durable too
// (before a checkpoint lets the WAL begin anew, SQLite syncs it and the database).
//
// Whoever comes while a commit is under way shares the next one: one fsync for all of them.
//
// Locks: one mutex, a leaf, never held while SQLite works; the order is the database's queue.

import GRDB
import Glibc
import Synchronization

/// The journal of one staging directory; used by one process at a time, which its lock ensures.
final class SQLiteJournal: Journal {
    /// The journal cannot be trusted: damaged, or no journal at all.
    struct Damaged: Error {}
    /// The journal is of a newer version of the program.
    struct TooNew: Error {}

    private enum Change {
        case put([UInt8], id: Int64?)
        case remove(Int64)
    }

    /// A change that waits for its commit.
    private final class Waiting: Sendable {
        let change: Change
        let durable: Bool
        let result = Mutex<Result<Int64, StagingError>?>(nil)

        init(_ change: Change, durable: Bool) {
            self.change = change
            self.durable = durable
        }
    }

    static let version = 1
    private let database: DatabaseQueue
    private let waiting = Mutex<[Waiting]>([])

    init(path: String) throws {
        var configuration = Configuration()
        configuration.journalMode = .wal
        configuration.busyMode = .timeout(5)
        configuration.label = "pail-journal"
        do {
            database = try DatabaseQueue(path: path, configuration: configuration)
            try database.writeWithoutTransaction { database in
                let version = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
                if version > Self.version { throw TooNew() }
                let check = try String.fetchOne(database, sql: "PRAGMA quick_check(1)")
                guard check == "ok" else { throw Damaged() }
                if version == 0 {
                    try database.execute(sql: "PRAGMA synchronous = FULL")
                    try database.inTransaction {
                        try database.execute(sql: Self.schema)
                        return .commit
                    }
                }
            }
        } catch let error as DatabaseError
            where [.SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_ERROR].contains(error.resultCode)
        {
            throw Damaged()
        }
    }

    private static let schema = """
        CREATE TABLE records (id INTEGER PRIMARY KEY AUTOINCREMENT, record BLOB NOT NULL);
        CREATE TABLE arriving (source TEXT NOT NULL, record BLOB NOT NULL);
        PRAGMA user_version = 1;
        """

    @discardableResult
    func put(_ record: [UInt8], id: Int64?, durable: Bool) throws(StagingError) -> Int64 {
        try commit(Waiting(.put(record, id: id), durable: durable))
    }

    func remove(_ id: Int64) throws(StagingError) {
        _ = try commit(Waiting(.remove(id), durable: false))
    }

    func records() throws(StagingError) -> [(id: Int64, record: [UInt8])] {
        do {
            return try database.read { database in
                try Row.fetchAll(database, sql: "SELECT id, record FROM records ORDER BY id")
                    .map { (id: $0[0], record: DataOfBytes.bytes($0[1])) }
            }
        } catch { throw StagingError(error) }
    }

    func close() { try? database.close() }

    // MARK: Commits

    private func commit(_ mine: Waiting) throws(StagingError) -> Int64 {
        waiting.withLock { $0.append(mine) }
        // The database's queue lets in one at a time. Who comes in takes all that wait; those whose
        // change was taken find it done when they come in.
        database.inDatabase { database in
            if mine.result.withLock({ $0 != nil }) { return }
            let batch = waiting.withLock { all in
                defer { all = [] }
                return all
            }
            Self.apply(batch, database)
        }
        return try (mine.result.withLock { $0 } ?? .failure(.failed(EIO))).get()
    }

    private static func apply(_ batch: [Waiting], _ database: Database) {
        do {
            let level = batch.contains { $0.durable } ? "FULL" : "NORMAL"
            try database.execute(sql: "PRAGMA synchronous = \(level)")
            var ids: [Int64] = []
            try database.inTransaction {
                for waiting in batch { ids.append(try apply(waiting.change, database)) }
                return .commit
            }
            for (waiting, id) in zip(batch, ids) { waiting.result.withLock { $0 = .success(id) } }
        } catch {
            let reason = StagingError(error)
            for waiting in batch { waiting.result.withLock { $0 = .failure(reason) } }
        }
    }

    private static func apply(_ change: Change, _ database: Database) throws -> Int64 {
        switch change {
        case .put(let record, let id):
            try database.cachedStatement(
                sql: """
                    INSERT INTO records (id, record) VALUES (?, ?)
                    ON CONFLICT (id) DO UPDATE SET record = excluded.record
                    """
            ).execute(arguments: [id, DataOfBytes(record).value])
            return id ?? database.lastInsertedRowID
        case .remove(let id):
            try database.cachedStatement(sql: "DELETE FROM records WHERE id = ?")
                .execute(arguments: [id])
            return id
        }
    }

    // MARK: Records of another staging directory

    /// Notes records that are about to be taken over from `source`; they do not count yet. Durable.
    func announce(_ records: [[UInt8]], from source: String) throws {
        try database.writeWithoutTransaction { database in
            try database.execute(sql: "PRAGMA synchronous = FULL")
            try database.inTransaction {
                for record in records {
                    try database.execute(
                        sql: "INSERT INTO arriving VALUES (?, ?)",
                        arguments: [source, DataOfBytes(record).value])
                }
                return .commit
            }
        }
    }

    /// Sources of announced records that neither arrived nor were given up.
    func announced() throws -> [String] {
        try database.read {
            try String.fetchAll($0, sql: "SELECT DISTINCT source FROM arriving")
        }
    }

    /// Makes announced records count, under numbers of ours (`arrived`), or forgets them. Durable.
    func settle(_ source: String, arrived: Bool) throws {
        try database.writeWithoutTransaction { database in
            try database.execute(sql: "PRAGMA synchronous = FULL")
            try database.inTransaction {
                if arrived {
                    try database.execute(
                        sql: """
                            INSERT INTO records (record)
                            SELECT record FROM arriving WHERE source = ? ORDER BY rowid
                            """, arguments: [source])
                }
                try database.execute(
                    sql: "DELETE FROM arriving WHERE source = ?", arguments: [source])
                return .commit
            }
        }
    }
}

extension StagingError {
    /// What SQLite's error means to a writer.
    init(_ error: any Error) {
        if let error = error as? StagingError {
            self = error
        } else if (error as? DatabaseError)?.resultCode == .SQLITE_FULL {
            self = .full
        } else {
            self = .failed(EIO)
        }
    }
}
