// Keeping a file that is not in the bucket safe on the local disk: its bytes on stable storage, and a
// record in the journal that says how to publish it.

import BlockStore
import Operations
import S3

extension WritableFile {
    /// Makes what was written safe here. Waits for the disk: on a thread of the scheduler.
    ///
    /// - Parameter problem: why it could not be published; nil when that is only to be done.
    func keep(problem: String? = nil) -> WriteFailure? {
        let (staged, isDirty) = locked { ($0.staged, $0.isDirty) }
        guard isDirty else { return nil }
        do throws(StagingError) { try staged?.synchronize() } catch { return WriteFailure(error) }
        let (record, id) = locked { state in
            let since = state.waitsSince ?? context.time
            state.waitsSince = since
            return (
                JournalRecord.pending(PendingRecord(state, since: since, problem: problem)),
                state.journalID
            )
        }
        guard let id = context.records.put(record, id: id, durable: true) else {
            return WriteFailure(
                errno: .inputOutput,
                reason: "the journal of the staging area cannot be written; check its disk")
        }
        let isGone = locked { state in
            state.journalID = id
            return !state.isDirty
        }
        // Published or removed meanwhile.
        if isGone { forgetRecord() }
        return nil
    }

    /// The file is in the bucket, or gone: nothing of it is to be published any more.
    func forgetRecord() {
        let id = locked { state -> Int64? in
            defer {
                state.journalID = nil
                state.waitsSince = nil
            }
            return state.journalID
        }
        if let id { context.records.ended(id) }
    }

    /// Counts the bytes that an earlier life has staged, even if that is more than the limit.
    func adoptClaim() {
        locked { state in
            let bytes = state.extents.bytes([.clean, .dirty], in: 0..<max(state.size, 0))
            context.staging.claimPresent(bytes)
            state.claimed = bytes
        }
    }
}
