// What of this mount's uploads must be known after a crash, as records of the journal.
//
// Losing such a record costs an upload that is never aborted, so it is written before the first
// part goes up; it need not be on stable storage for that.

import BlockStore
import Foundation
import Logging
import S3

/// A record of the journal.
enum JournalRecord: Codable, Equatable, Sendable {
    /// A multipart upload was begun and neither completed nor aborted.
    case upload(key: [UInt8], id: String)
    /// Removed here, and to be deleted.
    case delete(keys: [[UInt8]])
    /// Removed here while it was open: to be deleted if it still is this version.
    case deleteVersion(key: [UInt8], etag: String)
    /// Staged, and to be published.
    case pending(PendingRecord)
    /// A directory is being renamed: every key below `from` is copied below `to`, then deleted.
    case rename(from: [UInt8], to: [UInt8])
}

/// Writes the journal's records.
final class UploadRecords: Sendable {
    private let journal: any Journal
    private let logger: Logger

    init(journal: any Journal, logger: Logger) {
        self.journal = journal
        self.logger = logger
    }

    /// An upload was begun. Nil when the journal cannot be written: said in the log.
    func began(_ upload: MultipartUpload) -> Int64? {
        put(.upload(key: upload.key.bytes, id: upload.id))
    }

    /// A record is of no use any more.
    func ended(_ id: Int64) {
        do throws(StagingError) { try journal.remove(id) } catch { complain(error) }
    }

    /// Writes a record; nil when the journal cannot be written.
    func put(_ record: JournalRecord, id: Int64? = nil, durable: Bool = false) -> Int64? {
        do throws(StagingError) {
            return try journal.put(Self.encode(record), id: id, durable: durable)
        } catch {
            complain(error)
            return nil
        }
    }

    /// All records that make sense; others are said in the log and left alone.
    func all() -> [(id: Int64, record: JournalRecord)] {
        do throws(StagingError) {
            return try journal.records().compactMap { id, bytes in
                guard let record = Self.decode(bytes) else {
                    logger.warning("journal: record \(id) makes no sense; left alone")
                    return nil
                }
                return (id, record)
            }
        } catch {
            complain(error)
            return []
        }
    }

    /// True when every record makes sense to this version of the program: only then it is known which
    /// staged files nobody needs.
    var areAllKnown: Bool {
        guard let records = try? journal.records() else { return false }
        return records.allSatisfy { Self.decode($0.record) != nil }
    }

    private func complain(_ error: StagingError) {
        logger.warning("journal: \(WriteFailure(error).reason)")
    }

    static func encode(_ record: JournalRecord) -> [UInt8] {
        // Plain values only: encoding them cannot fail.
        Array((try? JSONEncoder().encode(record)) ?? Data())
    }

    static func decode(_ bytes: [UInt8]) -> JournalRecord? {
        try? JSONDecoder().decode(JournalRecord.self, from: Data(bytes))
    }
}
