// Works in order of arrival, for any number of threads. Bounded by its users, not by itself.

import Glibc

/// A queue of works that threads serve until it is stopped.
final class WorkQueue: Served, @unchecked Sendable {
    private let condition = Condition()
    // All below: guarded by `condition`.
    private var works: [@Sendable () -> Void] = []
    /// Works before this index are taken; the array is compacted when it is all taken.
    private var first = 0
    private var idle = 0
    private var threads = 0
    private var stopped = false
    private var serving: [pthread_t] = []

    func append(_ work: @escaping @Sendable () -> Void) {
        condition.lock()
        if !stopped {
            works.append(work)
            if idle > 0 { condition.signal() }
        }
        condition.unlock()
    }

    /// Runs works until the queue is stopped and empty.
    func serve() {
        condition.withLock { serving.append(pthread_self()) }
        while let work = next() { work() }
        condition.withLock { serving.removeAll { pthread_equal($0, pthread_self()) != 0 } }
    }

    private func next() -> (@Sendable () -> Void)? {
        condition.lock()
        defer { condition.unlock() }
        while first == works.count {
            if stopped { return nil }
            idle += 1
            condition.wait()
            idle -= 1
        }
        let work = works[first]
        works[first] = Self.nothing
        first += 1
        if first == works.count {
            // Keeps the memory: a busy queue must not allocate for each work.
            works.removeAll(keepingCapacity: works.capacity <= 4096)
            first = 0
        } else if first >= 1024, first * 2 >= works.count {
            works.removeFirst(first)
            first = 0
        }
        return work
    }

    private static let nothing: @Sendable () -> Void = {}

    func stop() {
        condition.withLock {
            stopped = true
            condition.broadcast()
        }
    }

    /// Returns when no thread serves but, perhaps, the calling one.
    func waitUntilStopped() {
        condition.lock()
        defer { condition.unlock() }
        let own = serving.contains { pthread_equal($0, pthread_self()) != 0 } ? 1 : 0
        while threads > own { condition.wait() }
    }

    func threadStarts() { condition.withLock { threads += 1 } }

    func threadEnds() {
        condition.withLock {
            threads -= 1
            condition.broadcast()
        }
    }
}
