// Blocks that wait to be written, bounded in bytes, object by object.
//
// At most `writers` works of the scheduler serve it at once, and any of them an object: they write
// different batches of it. A full queue says no: the caller then goes on without caching, a slow disk
// never slows a cold read.
//
// Locks: the queue's; an object's state is never locked under it.

import DequeModule
import Scheduling

/// The objects that have something to write.
final class WriteQueue: @unchecked Sendable {
    private let condition = Condition()
    private let scheduler: any Scheduler
    private let writers: Int
    private let limit: Int
    // All below: guarded by `condition`.
    private var ready: Deque<StoredObject> = []
    private var bytes = 0
    /// Works given to the scheduler that have not ended.
    private var started = 0
    /// Threads that write at the moment.
    private var writing = 0
    private var closed = false

    /// - Parameter limit: bytes that may wait.
    init(scheduler: any Scheduler, writers: Int, limit: Int) {
        self.scheduler = scheduler
        self.writers = writers
        self.limit = limit
    }

    /// Counts `count` bytes as waiting; false when they are too many.
    func admit(_ count: Int) -> Bool {
        condition.withLock {
            guard !closed, bytes + count <= limit else { return false }
            bytes += count
            return true
        }
    }

    /// `count` admitted bytes are written or dropped.
    func forget(_ count: Int) { condition.withLock { bytes -= count } }

    /// An object has something to write and is not in the list.
    func append(_ object: StoredObject) {
        let starts = condition.withLock {
            ready.append(object)
            guard started < writers else { return false }
            started += 1
            return true
        }
        guard starts else { return }
        scheduler.run { [self] in
            serve()
            condition.withLock { started -= 1 }
            restart()
        }
    }

    /// An object may have joined between the last look of a writer and its end.
    private func restart() {
        let object = condition.withLock { started < writers ? ready.popFirst() : nil }
        if let object { append(object) }
    }

    /// Writes until nothing is ready.
    private func serve() {
        while let object = next() {
            object.store.registry.closeSome()
            let (batch, more) = object.takeBatch()
            if more { append(object) }
            object.write(batch)
            for write in batch {
                write.release()
                forget(object.bytes(write.block, write.chunks))
            }
            condition.withLock {
                writing -= 1
                condition.broadcast()
            }
        }
    }

    private func next() -> StoredObject? {
        condition.withLock {
            guard let object = ready.popFirst() else { return nil }
            writing += 1
            return object
        }
    }

    /// Writes on the calling thread too; returns when nothing waits and nobody writes.
    func drain() {
        while true {
            serve()
            condition.lock()
            while writing > 0, ready.isEmpty { condition.wait() }
            let done = ready.isEmpty
            condition.unlock()
            if done { return }
        }
    }

    /// Admits nothing more.
    func close() { condition.withLock { closed = true } }
}
