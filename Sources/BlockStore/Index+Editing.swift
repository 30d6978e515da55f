// Taking objects away: rows and files change together.
//
// The write lock of the index is held while files are removed or cut, so that no other process can
// tell of a file anew between its removal and that of its row. Its new bytes would then be in nobody's
// account. For the same reason nothing removes an object's files outside of such an edit.

import GRDB

extension Index {
    /// What may be done while the index's write lock is held. Nothing else may use the index.
    struct Editor {
        fileprivate let database: Database

        /// The objects longest unused, oldest first.
        func oldest(_ count: Int) throws -> [Index.Row] {
            try GRDB.Row.fetchAll(
                database.cachedStatement(sql: "SELECT * FROM objects ORDER BY used LIMIT ?"),
                arguments: [count]
            ).compactMap(Index.row)
        }

        func remove(_ name: ObjectName) throws { try Index.remove(name, database) }

        func apply(_ change: Index.Change) throws { try Index.apply(change, database) }
    }

    /// Does `work` in one write transaction; what it removes from the disk stays removed if it throws.
    func edit<Result>(_ work: (Editor) throws -> Result) throws -> Result {
        try database.write { try work(Editor(database: $0)) }
    }
}
