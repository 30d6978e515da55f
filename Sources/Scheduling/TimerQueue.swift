// Works that wait for their time: a binary heap by due time, served by one thread.
//
// A cancelled timer drops its work at once and leaves the heap when its time comes, or earlier when
// more than half of the heap is cancelled: a read that sets and cancels a deadline costs O(log n)
// and the heap does not grow with the reads of the last minute.
//
// Locks: the heap's, then a timer's own; never the other way round.

import Synchronization

/// A work with a time, and the word whether it still may begin.
final class ScheduledTimer: ScheduledWork {
    private let work: Mutex<(@Sendable () -> Void)?>
    private let queue: Mutex<TimerQueue?> = Mutex(nil)

    init(work: @escaping @Sendable () -> Void) {
        self.work = Mutex(work)
    }

    /// Names the heap that holds this timer.
    func joined(_ timers: TimerQueue) { queue.withLock { $0 = timers } }

    func cancel() {
        let dropped = work.withLock { $0.take() }
        guard dropped != nil else { return }
        queue.withLock { $0.take() }?.oneCancelled()
    }

    /// Runs the work unless it was cancelled or has run.
    func fire() {
        queue.withLock { $0 = nil }
        work.withLock { $0.take() }?()
    }

    /// True once cancelled or run.
    var isSpent: Bool { work.withLock { $0 == nil } }
}

/// The heap and its thread's loop.
final class TimerQueue: Served, @unchecked Sendable {
    private struct Entry {
        var due: Duration
        /// Equal times fire in the order of asking.
        var order: UInt64
        var timer: ScheduledTimer

        func isBefore(_ other: Entry) -> Bool {
            due != other.due ? due < other.due : order < other.order
        }
    }

    private let condition = Condition()
    private let queue: WorkQueue
    // All below: guarded by `condition`.
    private var heap: [Entry] = []
    private var order: UInt64 = 0
    private var cancelled = 0
    private var stopped = false
    private var threads = 0

    init(queue: WorkQueue) { self.queue = queue }

    func append(_ timer: ScheduledTimer, due: Duration) {
        timer.joined(self)
        condition.lock()
        defer { condition.unlock() }
        guard !stopped else { return }
        order += 1
        heap.append(Entry(due: due, order: order, timer: timer))
        siftUp(heap.count - 1)
        if heap[0].order == order { condition.signal() }
    }

    /// A timer in the heap was cancelled.
    func oneCancelled() {
        condition.lock()
        defer { condition.unlock() }
        cancelled += 1
        guard cancelled > 64, cancelled * 2 > heap.count else { return }
        heap.removeAll { $0.timer.isSpent }
        cancelled = 0
        for index in stride(from: heap.count / 2 - 1, through: 0, by: -1) { siftDown(index) }
    }

    /// Hands due timers to the work queue until stopped.
    func serve() {
        condition.lock()
        defer { condition.unlock() }
        while !stopped {
            guard let next = heap.first else {
                condition.wait()
                continue
            }
            if next.due > Clock.monotonic() {
                condition.wait(until: next.due)
                continue
            }
            removeFirst()
            if next.timer.isSpent {
                cancelled = max(0, cancelled - 1)
            } else {
                queue.append { next.timer.fire() }
            }
        }
    }

    func stop() {
        condition.withLock {
            stopped = true
            heap.removeAll()
            condition.broadcast()
        }
    }

    func waitUntilStopped() {
        condition.lock()
        defer { condition.unlock() }
        while threads > 0 { condition.wait() }
    }

    func threadStarts() { condition.withLock { threads += 1 } }

    func threadEnds() {
        condition.withLock {
            threads -= 1
            condition.broadcast()
        }
    }

    private func removeFirst() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        siftDown(0)
    }

    private func siftUp(_ start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].isBefore(heap[parent]) else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private func siftDown(_ start: Int) {
        var parent = start
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if heap[child].isBefore(heap[least]) { least = child }
            }
            guard least != parent else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
