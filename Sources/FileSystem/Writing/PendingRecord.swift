// A file that is not in the bucket yet, as the journal keeps it: everything that publishing it takes.

import BlockStore
import Operations
import S3

/// What must be known of a staged file to publish it in another life of the mount.
struct PendingRecord: Codable, Equatable, Sendable {
    /// A run of one source: start, end (exclusive), `ExtentMap.Source`.
    struct Run: Codable, Equatable, Sendable {
        var start: Int64
        var end: Int64
        var source: UInt8
    }

    struct Version: Codable, Equatable, Sendable {
        var key: [UInt8]
        var etag: String
        var size: Int64
        var modified: Int64
        var storageClass: String
    }

    var key: [UInt8]
    /// The staged file; nil when the file has no bytes of its own.
    var staged: String?
    var size: Int64
    /// What is not a hole.
    var runs: [Run]
    var base: Version?
    var published: Version?
    var isExclusive: Bool
    var hasContent: Bool
    var permissions: UInt16
    var uid: UInt32
    var gid: UInt32
    var modified: Int64
    /// Since when it waits, in nanoseconds since 1970.
    var since: Int64
    /// Why publishing failed; nil while it is only to be done.
    var problem: String?

    init(_ state: FileState, since: Int64, problem: String?) {
        key = state.key.bytes
        staged = state.staged.flatMap { $0.name.isEmpty ? nil : $0.name }
        size = state.size
        runs = state.extents.extents(in: 0..<state.size).filter { $0.source != .hole }.map {
            Run(
                start: $0.range.lowerBound, end: $0.range.upperBound, source: $0.source.rawValue)
        }
        base = state.base.map { Version($0) }
        published = state.published.map { Version($0) }
        isExclusive = state.isExclusive
        hasContent = state.hasNewContent
        permissions = state.record.permissions
        uid = state.record.uid
        gid = state.record.gid
        modified = state.record.modified
        self.since = since
        self.problem = problem
    }
}

extension PendingRecord.Version {
    init(_ version: ObjectVersion) {
        self.init(
            key: version.key.bytes, etag: version.etag.text, size: version.size,
            modified: version.modified, storageClass: version.storageClass.rawValue)
    }

    var version: ObjectVersion {
        ObjectVersion(
            key: ObjectKey(key), etag: ETag(etag), size: size, modified: modified,
            storageClass: StorageClass(rawValue: storageClass))
    }
}

extension FileState {
    /// The state that a record tells of, without its staged file.
    init(_ pending: PendingRecord) {
        var extents = ExtentMap()
        extents.truncate(to: pending.size)
        for run in pending.runs {
            if let source = ExtentMap.Source(rawValue: run.source) {
                extents.set(run.start..<run.end, source)
            }
        }
        self.init(
            key: ObjectKey(pending.key), base: pending.base?.version,
            published: pending.published?.version, isExclusive: pending.isExclusive,
            extents: extents,
            record: LocalRecord(
                kind: .file, modified: pending.modified, changed: pending.modified,
                permissions: pending.permissions, uid: pending.uid, gid: pending.gid),
            headers: pending.published == nil ? ObjectHeaders() : nil,
            contentChange: pending.hasContent ? 1 : 0, attributeChange: 1)
    }
}
