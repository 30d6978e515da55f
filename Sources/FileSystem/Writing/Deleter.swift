// Deleting objects: the first ones at once, the many behind them together.
//
// One unlink(2) is one DeleteObject, and answers when the object is gone. Who removes a tree makes
// thousands one after the other, each waiting for the last: once some have succeeded in a row, an
// unlink is answered when it is in the journal, and the keys go in DeleteObjects of up to 1,000. A
// refusal shows in the first ones, which are waited for.
//
// Locks: `state`, a leaf.

import Logging
import Operations
import S3
import Scheduling
import Synchronization

/// Deletes keys, in batches when there are many.
final class Deleter: Sendable {
    private struct State {
        /// Deleted one by one in a row, each soon after the last.
        var streak = 0
        var lastDelete: Duration = .zero
        /// Keys that wait for the next batch, and what to do when they are gone.
        var queue: [ObjectKey: Waiting] = [:]
        var timer: (any ScheduledWork)?
        /// Keys of the batches that were sent and not answered yet.
        var sent: Set<ObjectKey> = []
        var batchesUnderWay = 0
        var waiters: [@Sendable () -> Void] = []
    }

    private struct Waiting {
        var journalID: Int64?
        var then: @Sendable (WriteFailure?) -> Void
    }

    private let store: any WritableObjectStore
    private let scheduler: any Scheduler
    private let slots: UploadSlots
    private let records: UploadRecords
    private let logger: Logger
    private let state = Mutex(State())

    /// Deletes in a row before the next ones are gathered.
    private static let proof = 8
    /// How long after the last delete one still belongs to the row.
    private static let pause = Duration.seconds(2)
    /// How long keys wait for company.
    private static let gathering = Duration.milliseconds(100)
    private static let batch = 1000

    init(
        store: any WritableObjectStore, scheduler: any Scheduler, slots: UploadSlots,
        records: UploadRecords, logger: Logger
    ) {
        self.store = store
        self.scheduler = scheduler
        self.slots = slots
        self.records = records
        self.logger = logger
    }

    /// Deletes a key.
    ///
    /// - Parameters:
    ///   - answered: called as soon as the caller may be answered: when the object is gone, or when
    ///     that is certain to happen.
    ///   - settled: called when the object is gone, or why it is not.
    func delete(
        _ key: ObjectKey, answered: @escaping @Sendable (WriteFailure?) -> Void,
        settled: @escaping @Sendable (WriteFailure?) -> Void
    ) {
        let now = scheduler.now
        let isMany = state.withLock { state in
            if now - state.lastDelete > Self.pause { state.streak = 0 }
            return state.streak >= Self.proof
        }
        guard isMany, let journalID = records.put(.delete(keys: [key.bytes])) else {
            return deleteNow(key) { failure in
                answered(failure)
                settled(failure)
            }
        }
        let isFull = state.withLock { state in
            state.lastDelete = now
            state.queue[key] = Waiting(journalID: journalID, then: settled)
            if state.timer == nil {
                state.timer = scheduler.after(Self.gathering) { [weak self] in
                    self?.sendBatch()
                }
            }
            return state.queue.count >= Self.batch
        }
        answered(nil)
        if isFull { sendBatch() }
    }

    private func deleteNow(
        _ key: ObjectKey, then: @escaping @Sendable (WriteFailure?) -> Void
    ) {
        store.delete(key) { [self] result in
            switch result {
            case .success:
                let now = scheduler.now
                state.withLock { state in
                    state.streak += 1
                    state.lastDelete = now
                }
                then(nil)
            case .failure(let error):
                state.withLock { $0.streak = 0 }
                let failure = WriteFailure(error)
                logger.warning("unlink \(key): \(failure.reason)")
                then(failure)
            }
        }
    }

    private func sendBatch() {
        let batch: [ObjectKey: Waiting] = state.withLock { state in
            state.timer?.cancel()
            state.timer = nil
            guard !state.queue.isEmpty else { return [:] }
            state.batchesUnderWay += 1
            state.sent.formUnion(state.queue.keys)
            defer { state.queue = [:] }
            return state.queue
        }
        guard !batch.isEmpty else { return settle() }
        let keys = batch.keys.sorted()
        slots.enter { [self] in
            store.delete(keys) { [self] result in
                slots.leave()
                finished(batch, result)
            }
        }
    }

    private func finished(
        _ batch: [ObjectKey: Waiting], _ result: Result<[ObjectKey: StoreError], StoreError>
    ) {
        var failures: [ObjectKey: StoreError] = [:]
        switch result {
        case .success(let failed): failures = failed
        case .failure(let error): for key in batch.keys { failures[key] = error }
        }
        if let (key, error) = failures.min(by: { $0.key < $1.key }) {
            let more = failures.count > 1 ? " (and \(failures.count - 1) more)" : ""
            logger.warning(
                "unlink \(key)\(more): \(WriteFailure(error).reason); the names show again")
        }
        for (key, waiting) in batch {
            if let id = waiting.journalID { records.ended(id) }
            waiting.then(failures[key].map { WriteFailure($0) })
        }
        state.withLock { state in
            state.batchesUnderWay -= 1
            state.sent.subtract(batch.keys)
            if !failures.isEmpty { state.streak = 0 }
        }
        settle()
    }

    /// Tells those who wait for everything to be gone.
    private func settle() {
        let waiters = state.withLock { state -> [@Sendable () -> Void] in
            guard state.queue.isEmpty, state.batchesUnderWay == 0 else { return [] }
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter() }
    }

    /// Sends what waits; `then` is called when all of it is gone.
    func flush(then: @escaping @Sendable () -> Void) {
        let isIdle = state.withLock { state in
            if state.queue.isEmpty, state.batchesUnderWay == 0 { return true }
            state.waiters.append(then)
            return false
        }
        if isIdle { then() } else { sendBatch() }
    }

    /// Calls `then` when no delete of a key is under way: what is written to it next must not be
    /// taken by one that was asked for before.
    func whenFree(_ key: ObjectKey, then: @escaping @Sendable () -> Void) {
        let isFree = state.withLock { $0.queue[key] == nil && !$0.sent.contains(key) }
        if isFree { then() } else { flush(then: then) }
    }
}
