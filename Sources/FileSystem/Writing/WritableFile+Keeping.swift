// Keeping a file that is not in the bucket safe on the local disk: its bytes on stable storage, and a
// record in the journal that says how to publish it.

import BlockStore
import Operations
import S3
import Scheduling
import Synchronization

extension WritableFile {
    /// Makes what was written safe here. Waits for the disk: on a thread of the scheduler.
    ///
    /// - Parameter problem: why it could not be published; nil when that is only to be done.
    func keep(problem: String? = nil) -> WriteFailure? {
        // One at a time: two would make two records, and one of them would outlive the file.
        keeping.withLock { _ in
            locked { $0.isKeeping = true }
            defer { locked { $0.isKeeping = false } }
            return writeRecord(problem)
        }
    }

    private func writeRecord(_ problem: String?) -> WriteFailure? {
        let (staged, isDirty) = locked { ($0.staged, $0.isDirty) }
        guard isDirty else { return nil }
        do throws(StagingError) { try staged?.synchronize() } catch { return WriteFailure(error) }
        let time = context.time
        let (record, id, content) = locked { state in
            let since = state.waitsSince ?? time
            state.waitsSince = since
            let record = PendingRecord(state, since: since, written: time, problem: problem)
            return (JournalRecord.pending(record), state.journalID, state.contentChange)
        }
        guard let id = context.records.put(record, id: id, durable: true) else {
            return WriteFailure(
                errno: .inputOutput,
                reason: "the journal of the staging area cannot be written; check its disk")
        }
        let (isGone, promised) = locked { state -> (Bool, (any StagedFile)?) in
            state.journalID = id
            state.keptContent = content
            // Emptied while the record was written: then it is what the record names.
            guard state.promised !== staged else { return (!state.isDirty, nil) }
            defer { state.promised = nil }
            return (!state.isDirty, state.promised)
        }
        promised?.remove()
        // Published or removed meanwhile.
        if isGone { forgetRecord() }
        return nil
    }

    /// The journal's record of a file whose bytes changed in a way that a crash would mix with it is
    /// written anew.
    func keepAgain(then: @escaping @Sendable (WriteFailure?) -> Void) {
        guard locked({ $0.isPromised && $0.isDirty }) else { return then(nil) }
        context.scheduler.run { [self] in
            _ = keep()
            then(nil)
        }
    }

    /// The file is in the bucket, or gone: nothing of it is to be published any more.
    func forgetRecord() { forgetRecord { _ in true } }

    /// The same, if what the record promises is in the bucket.
    func forgetKeptRecord() {
        forgetRecord { !$0.isDirty || $0.publishedContent >= $0.keptContent }
    }

    private func forgetRecord(if isOver: (FileState) -> Bool) {
        let (id, promised) = locked { state -> (Int64?, (any StagedFile)?) in
            guard isOver(state) else { return (nil, nil) }
            defer {
                state.journalID = nil
                state.waitsSince = nil
                state.promised = nil
            }
            return (state.journalID, state.promised)
        }
        if let id { context.records.ended(id) }
        promised?.remove()
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
