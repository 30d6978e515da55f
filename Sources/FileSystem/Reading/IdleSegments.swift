// Segments in memory that nobody needs at the moment, oldest first: what gives way when memory is
// short. Those that were read go before guesses that may still be read.
//
// Locks: one leaf mutex; eviction itself happens outside it, under the content's lock.

import DequeModule
import Synchronization

/// A segment that became idle, as it was then: its own fields belong to its content's lock.
struct IdleSegment {
    var segment: Segment
    /// Its `idleTicket`.
    var ticket: Int
    /// Whether all of it was read.
    var isConsumed: Bool
}

/// Complete segments by age.
final class IdleSegments: Sendable {
    private struct Entry {
        var content: ObjectContent
        var idle: IdleSegment
    }

    private struct Queues: ~Copyable {
        var consumed: Deque<Entry> = []
        var unread: Deque<Entry> = []
    }

    private let queues = Mutex(Queues())

    /// Remembers segments that became idle. One that was read in part is still wanted by its reader.
    func add(_ segments: [IdleSegment], of content: ObjectContent) {
        guard !segments.isEmpty else { return }
        queues.withLock { queues in
            for segment in segments {
                let entry = Entry(content: content, idle: segment)
                if segment.isConsumed {
                    queues.consumed.append(entry)
                } else {
                    queues.unread.append(entry)
                }
            }
        }
    }

    /// How many that were read are remembered (some of them may be gone already).
    var consumedCount: Int { queues.withLock { $0.consumed.count } }

    /// Drops one idle segment.
    ///
    /// - Parameter guesses: whether unread ones may go too.
    /// - Returns: the content it belonged to, or nil when there was none to drop.
    func evictOne(guesses: Bool) -> ObjectContent? {
        while let entry = next(guesses: guesses) {
            let idle = entry.idle
            if entry.content.evict(idle.segment, ticket: idle.ticket) { return entry.content }
        }
        return nil
    }

    private func next(guesses: Bool) -> Entry? {
        queues.withLock { queues in
            queues.consumed.popFirst() ?? (guesses ? queues.unread.popFirst() : nil)
        }
    }
}
