// What an earlier life of the mount has left undone, read from the journal: finished or abandoned.

import BlockStore
import Logging
import S3

/// Works off the journal's records at the start of a mount.
struct Recovery: Sendable {
    let writing: Writing
    private var context: WritingContext { writing.context }

    /// First what removes, then what was to be published: a name that was made again must not lose
    /// its object to the removal before. What fails is left for the next mount.
    ///
    /// - Parameter published: called when all is done, or cannot be done now.
    func start(published: @escaping @Sendable () -> Void) {
        let records = context.records.all()
        if context.records.areAllKnown {
            context.staging.removeOrphans(
                keeping: Set(
                    records.compactMap {
                        if case .pending(let file) = $0.record { file.staged } else { nil }
                    }
                ))
        }
        let removals = Countdown { publishAll(records, then: published) }
        for (id, record) in records {
            switch record {
            case .upload(let key, let upload):
                removals.add()
                abort(id, MultipartUpload(key: ObjectKey(key), id: upload), removals.done)
            case .delete(let keys):
                removals.add()
                delete(id, keys.map { ObjectKey($0) }, removals.done)
            case .deleteVersion(let key, let etag):
                removals.add()
                delete(id, ObjectKey(key), ETag(etag), removals.done)
            case .rename(let from, let to):
                removals.add()
                finish(id, from: ObjectKey(from), to: ObjectKey(to), removals.done)
            case .pending: break
            }
        }
        removals.done()
    }

    private func publishAll(
        _ records: [(id: Int64, record: JournalRecord)], then: @escaping @Sendable () -> Void
    ) {
        let left = Countdown(then: then)
        var newest: [[UInt8]: (id: Int64, pending: PendingRecord)] = [:]
        for (id, record) in records {
            guard case .pending(let pending) = record else { continue }
            let other = newest[pending.key]
            if let other, other.pending.written > pending.written {
                drop(id, pending)
                continue
            }
            // A rename was cut short between its record and the end of the one it replaced.
            if let other { drop(other.id, other.pending) }
            newest[pending.key] = (id, pending)
        }
        for (id, pending) in newest.values.sorted(by: { $0.id < $1.id }) {
            publish(id, pending, left)
        }
        left.done()
    }

    private func drop(_ id: Int64, _ pending: PendingRecord) {
        context.records.ended(id)
        if let name = pending.staged { context.staging.file(named: name)?.remove() }
    }

    /// A file that was promised to be published; one that failed waits for somebody to decide.
    private func publish(_ id: Int64, _ pending: PendingRecord, _ left: Countdown) {
        var state = FileState(pending)
        state.journalID = id
        state.waitsSince = pending.since
        state.problem = pending.problem
        if let name = pending.staged {
            guard let staged = context.staging.file(named: name) else {
                context.logger.error("\(state.key): its staged bytes are gone; nothing to publish")
                context.records.ended(id)
                return
            }
            state.staged = staged
        }
        let file = WritableFile(inode: 0, context: context, state: state)
        file.adoptClaim()
        guard pending.problem == nil else { return writing.waiting.add(file) }
        context.logger.notice("publishing \(ObjectKey(pending.key)), written before the last end")
        left.add()
        file.publish(attributes: true) { [writing] failure in
            defer { left.done() }
            if failure == nil {
                file.retire()
            } else {
                _ = file.keep(problem: failure?.reason)
                writing.waiting.add(file)
            }
        }
    }

    /// An upload that was never completed: nothing of it was promised to anybody.
    private func abort(
        _ id: Int64, _ upload: MultipartUpload, _ done: @escaping @Sendable () -> Void
    ) {
        context.store.abortUpload(upload) { [context] result in
            defer { done() }
            switch result {
            case .success:
                context.logger.notice("\(upload.key): aborted an upload that was cut short")
                context.records.ended(id)
            case .failure(let error):
                context.logger.warning("AbortMultipartUpload \(upload.key): \(error)")
            }
        }
    }

    private func delete(
        _ id: Int64, _ keys: [ObjectKey], _ done: @escaping @Sendable () -> Void
    ) {
        context.store.delete(keys) { [context] result in
            defer { done() }
            switch result {
            case .success(let failed) where failed.isEmpty: context.records.ended(id)
            case .success(let failed):
                let (key, error) = failed.min { $0.key < $1.key }!
                context.logger.warning("unlink \(key): \(error); was removed before the last end")
                context.records.ended(id)
            case .failure(let error): context.logger.warning("DeleteObjects: \(error)")
            }
        }
    }

    private func delete(
        _ id: Int64, _ key: ObjectKey, _ etag: ETag, _ done: @escaping @Sendable () -> Void
    ) {
        context.store.head(key) { [context] result in
            switch result {
            case .success(let head) where head.etag == etag:
                context.store.delete(key) { result in
                    if case .success = result { context.records.ended(id) }
                    done()
                }
                return
            case .success: context.records.ended(id)
            case .failure(let error) where error.kind == .notFound: context.records.ended(id)
            case .failure(let error): context.logger.warning("HeadObject \(key): \(error)")
            }
            done()
        }
    }

    /// All is copied again that is still under the old name: a copy that was made is made once more,
    /// which does no harm.
    private func finish(
        _ id: Int64, from: ObjectKey, to: ObjectKey, _ done: @escaping @Sendable () -> Void
    ) {
        context.logger.notice("finishing the rename of \(from) to \(to), which was cut short")
        KeyMove(context: context, from: from, to: to).run { [context] failure in
            defer { done() }
            if let failure {
                context.report(failure, "rename", from)
            } else {
                context.records.ended(id)
            }
        }
    }
}
