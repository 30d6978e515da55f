// What all writing shares: the store, the staging area, the names, and the uploads under way.

import BlockStore
import Logging
import Operations
import S3
import Scheduling

/// The shared ground of all files of a mount that are being changed.
final class WritingContext: Sendable {
    let configuration: WritingConfiguration
    let store: any WritableObjectStore
    let staging: any StagingStorage
    let namespace: Namespace
    let attributes: any AttributeMemory
    let read: ReadContext
    let opened: OpenedVersions
    let slots: UploadSlots
    let files = WritingTable()
    let handles: HandleTable
    let records: UploadRecords
    let deleter: Deleter
    let barrier: RenameBarrier
    let room: StagingRoom
    let removed = RemovedObjects()
    let logger: Logger
    var scheduler: any Scheduler { read.scheduler }

    init(
        configuration: WritingConfiguration, store: any WritableObjectStore,
        staging: any StagingStorage, namespace: Namespace,
        attributes: any AttributeMemory, read: ReadContext,
        opened: OpenedVersions, handles: HandleTable, logger: Logger
    ) {
        self.configuration = configuration
        self.store = store
        self.staging = staging
        self.namespace = namespace
        self.read = read
        self.attributes = attributes
        self.opened = opened
        self.handles = handles
        self.logger = logger
        slots = UploadSlots(limit: configuration.parallelUploads)
        records = UploadRecords(journal: staging.journal, logger: logger)
        barrier = RenameBarrier(scheduler: read.scheduler)
        deleter = Deleter(
            store: store, scheduler: read.scheduler, slots: slots, records: records, logger: logger)
        room = StagingRoom(staging: staging, scheduler: read.scheduler)
    }

    /// Wall-clock time in nanoseconds since 1970.
    var time: Int64 { scheduler.unixTime.nanoseconds }

    /// The one log line of a failed change.
    func report(_ failure: WriteFailure, _ operation: String, _ key: ObjectKey) {
        logger.warning("\(operation) \(key): \(failure.reason)")
    }
}

extension Duration {
    /// Whole nanoseconds.
    var nanoseconds: Int64 {
        components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
    }
}

extension WritingContext {
    /// A version of a file was published: the namespace and the kernel's pages are of it.
    ///
    /// - Parameter headers: those it was published with; nil when they are those of the one before.
    func wrote(_ version: ObjectVersion, _ headers: ObjectHeaders?, inode: InodeNumber) {
        if let headers {
            let question = AttributeQuestion(key: version.key, etag: version.etag)
            attributes.note([
                question: ObjectAttributes(metadata: headers.metadata)
            ])
        }
        let isClean = files.find(inode)?.locked { !$0.isDirty } ?? true
        namespace.published(inode, version: version, settles: isClean)
        _ = opened.note(inode, version)
    }

    /// Lets go of staged bytes that the bucket has too. Returns true when there were any.
    func reclaim() -> Bool {
        var isFreed = false
        for file in files.all where file.giveRoom() { isFreed = true }
        return isFreed
    }

    /// Prepares a write of a key: deletes of it that are under way end first, and a condition that the
    /// server would not look at is asked about. Refuses with a reason.
    ///
    /// - Parameter isHonoured: the server looks at the condition of this kind of write.
    func checked(
        _ condition: WriteCondition, _ key: ObjectKey, isHonoured: Bool,
        then: @escaping @Sendable (WriteFailure?) -> Void
    ) {
        deleter.whenFree(key) { [self] in
            guard condition != .none, !isHonoured else { return then(nil) }
            check(condition, key, then: then)
        }
    }

    private func check(
        _ condition: WriteCondition, _ key: ObjectKey,
        then: @escaping @Sendable (WriteFailure?) -> Void
    ) {
        store.head(key) { result in
            let found: ETag?
            switch result {
            case .success(let head): found = head.etag
            case .failure(let error) where error.kind == .notFound: found = nil
            case .failure(let error): return then(WriteFailure(error))
            }
            let isMet =
                switch condition {
                case .none: true
                case .absent: found == nil
                case .matches(let etag): found == etag
                }
            guard !isMet else { return then(nil) }
            let error = StoreError(
                kind: .preconditionFailed, operation: "HeadObject",
                message: "the object is not what it was")
            then(WriteFailure(error, wantsAbsent: condition == .absent))
        }
    }
}
