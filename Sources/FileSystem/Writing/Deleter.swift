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
        /// Keys that are being deleted, and who waits for one to be free.
        var busy: [ObjectKey: [@Sendable () -> Void]] = [:]
        /// Batches that were sent and not answered yet, by number.
        var underWay: Set<Int> = []
        var batches = 0
        /// Who waits until all batches up to a number are over.
        var waiters: [(last: Int, then: @Sendable () -> Void)] = []
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
        var number = 0
        let batch: [ObjectKey: Waiting] = state.withLock { state in
            state.timer?.cancel()
            state.timer = nil
            guard !state.queue.isEmpty else { return [:] }
            state.batches += 1
            number = state.batches
            state.underWay.insert(number)
            for key in state.queue.keys { state.busy[key, default: []] += [] }
            defer { state.queue = [:] }
            return state.queue
        }
        guard !batch.isEmpty else { return }
        let sent = number
        let keys = batch.keys.sorted()
        slots.enter { [self] in
            store.delete(keys) { [self] result in
                slots.leave()
                finished(batch, sent, result)
            }
        }
    }

    private func finished(
        _ batch: [ObjectKey: Waiting], _ number: Int,
        _ result: Result<[ObjectKey: StoreError], StoreError>
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
        let waiters = state.withLock { state in
            state.underWay.remove(number)
            if !failures.isEmpty { state.streak = 0 }
            var ready: [@Sendable () -> Void] = []
            for key in batch.keys.sorted() { ready += state.busy.removeValue(forKey: key) ?? [] }
            let oldest = state.underWay.min() ?? .max
            ready += state.waiters.filter { $0.last < oldest }.map(\.then)
            state.waiters.removeAll { $0.last < oldest }
            return ready
        }
        for waiter in waiters { waiter() }
    }

    /// Sends what waits; `then` is called when all that was asked for so far is over. What is asked
    /// for later is not waited for: somebody who removes a tree would hold it up for ever.
    func flush(then: @escaping @Sendable () -> Void) {
        sendBatch()
        let isIdle = state.withLock { state in
            if state.underWay.isEmpty { return true }
            state.waiters.append((state.batches, then))
            return false
        }
        if isIdle { then() }
    }

    /// Makes whoever writes to a key wait: it is being looked at to be deleted. `release` follows.
    func hold(_ key: ObjectKey) { state.withLock { $0.busy[key, default: []] += [] } }

    /// Ends `hold`.
    func release(_ key: ObjectKey) {
        let waiters = state.withLock { $0.busy.removeValue(forKey: key) ?? [] }
        for waiter in waiters { waiter() }
    }

    /// Calls `then` when no delete of a key is under way: what is written to it next must not be
    /// taken by one that was asked for before.
    func whenFree(_ key: ObjectKey, then: @escaping @Sendable () -> Void) {
        let (isFree, isQueued) = state.withLock { state in
            let isQueued = state.queue[key] != nil
            guard isQueued || state.busy[key] != nil else { return (true, false) }
            state.busy[key, default: []].append(then)
            return (false, isQueued)
        }
        if isFree { then() } else if isQueued { sendBatch() }
    }
}
