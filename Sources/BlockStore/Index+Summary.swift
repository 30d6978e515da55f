// The index's answers to `pail cache`.

import GRDB

extension Index {
    /// All but the count of mounts.
    func summary() throws -> CacheSummary {
        try database.read { database in
            let all = try GRDB.Row.fetchOne(
                database,
                sql: "SELECT count(*) AS n, coalesce(sum(bytes), 0) AS b, min(used) AS o, "
                    + "max(used) AS y FROM objects")
            let shares = try GRDB.Row.fetchAll(
                database,
                sql: "SELECT store, count(*) AS n, sum(bytes) AS b FROM objects "
                    + "GROUP BY store ORDER BY b DESC, store")
            let limit = try Int64.fetchOne(
                database, sql: "SELECT value FROM settings WHERE name = 'limit'")
            let oldest: Int64? = all?["o"]
            let newest: Int64? = all?["y"]
            return CacheSummary(
                objects: all?["n"] ?? 0, bytes: all?["b"] ?? 0, limit: limit,
                oldestUse: oldest.map { .milliseconds($0) },
                newestUse: newest.map { .milliseconds($0) },
                shares: shares.map {
                    CacheSummary.Share(store: $0["store"], objects: $0["n"], bytes: $0["b"])
                },
                mounts: 0)
        }
    }
}
