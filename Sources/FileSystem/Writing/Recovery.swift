// What an earlier life of the mount has left undone, read from the journal: finished or abandoned.

import BlockStore
import Logging
import S3

/// Works off the journal's records at the start of a mount.
struct Recovery: Sendable {
    let writing: Writing
    private var context: WritingContext { writing.context }

    /// Begins everything at once; nobody waits for it. What fails is left for the next mount.
    func start() {
        for (id, record) in context.records.all() {
            switch record {
            case .upload(let key, let upload):
                abort(id, MultipartUpload(key: ObjectKey(key), id: upload))
            case .delete(let keys): delete(id, keys.map { ObjectKey($0) })
            case .deleteVersion(let key, let etag): delete(id, ObjectKey(key), ETag(etag))
            case .rename(let from, let to): finish(id, from: ObjectKey(from), to: ObjectKey(to))
            }
        }
    }

    /// An upload that was never completed: nothing of it was promised to anybody.
    private func abort(_ id: Int64, _ upload: MultipartUpload) {
        context.store.abortUpload(upload) { [context] result in
            switch result {
            case .success:
                context.logger.notice("\(upload.key): aborted an upload that was cut short")
                context.records.ended(id)
            case .failure(let error):
                context.logger.warning("AbortMultipartUpload \(upload.key): \(error)")
            }
        }
    }

    private func delete(_ id: Int64, _ keys: [ObjectKey]) {
        context.store.delete(keys) { [context] result in
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

    private func delete(_ id: Int64, _ key: ObjectKey, _ etag: ETag) {
        context.store.head(key) { [context] result in
            switch result {
            case .success(let head) where head.etag == etag:
                context.store.delete(key) { result in
                    if case .success = result { context.records.ended(id) }
                }
            case .success: context.records.ended(id)
            case .failure(let error) where error.kind == .notFound: context.records.ended(id)
            case .failure(let error): context.logger.warning("HeadObject \(key): \(error)")
            }
        }
    }

    /// All is copied again that is still under the old name: a copy that was made is made once more,
    /// which does no harm.
    private func finish(_ id: Int64, from: ObjectKey, to: ObjectKey) {
        context.logger.notice("finishing the rename of \(from) to \(to), which was cut short")
        KeyMove(context: context, from: from, to: to).run { [context] failure in
            if let failure {
                context.report(failure, "rename", from)
            } else {
                context.records.ended(id)
            }
        }
    }
}
