// A disk in trouble: said once, then caching rests for a while. Reads of what is there go on.
//
// Locks: one mutex, a leaf; logging happens outside it.

import Glibc
import Logging
import Scheduling
import Synchronization

/// Whether new blocks may be written at the moment.
final class Trouble: Sendable {
    private struct State {
        var restUntil: Duration?
        var said: Set<String> = []
        /// Failures of the index one after the other.
        var indexFailures = 0
        var indexAfter: Duration?
        /// Claims without room one after the other.
        var refusals = 0
        var claimAfter: Duration?
    }

    /// How long caching rests after a failed write.
    static let rest = Duration.seconds(30)
    /// How long at most it rests when the disk is full: room may come at any time.
    static let restWhenFull = Duration.seconds(2)

    private let state = Mutex(State())
    private let scheduler: any Scheduler
    private let logger: Logger
    private let path: String

    init(path: String, scheduler: any Scheduler, logger: Logger) {
        self.path = path
        self.scheduler = scheduler
        self.logger = logger
    }

    /// False while caching rests.
    var allowsWrites: Bool {
        state.withLock { state in
            guard let until = state.restUntil else { return true }
            if scheduler.now < until { return false }
            state.restUntil = nil
            return true
        }
    }

    /// A write failed with `errno`.
    func writeFailed(_ errno: Int32) {
        let advice =
            switch errno {
            case ENOSPC, EDQUOT: "free space on its disk, or name another with --cache-dir"
            case EROFS: "its file system is read-only; name another with --cache-dir"
            case EIO: "its disk has errors; name another with --cache-dir"
            default: "check the directory, or name another with --cache-dir"
            }
        let isFull = errno == ENOSPC || errno == EDQUOT
        restFor(
            isFull ? Self.restWhenFull : Self.rest, "\(errorText(errno)): \(advice)")
    }

    private func restFor(_ time: Duration, _ reason: String) {
        let until = scheduler.now + time
        let isNew = state.withLock { state in
            state.restUntil = max(until, state.restUntil ?? until)
            return state.said.insert(reason).inserted
        }
        guard isNew else { return }
        logger.warning("cache \(path): \(reason); going on without caching more, reads are served")
    }

    // MARK: Room

    /// False for the blink after several claims found no room: asking costs some 100 us.
    var allowsClaims: Bool {
        state.withLock { state in
            guard let after = state.claimAfter else { return true }
            return scheduler.now >= after
        }
    }

    /// A claim found no room and nothing to evict: only the block at hand is dropped.
    func noRoom() {
        let isNew = state.withLock { state in
            state.refusals += 1
            if state.refusals > 3 {
                let blink = Duration.milliseconds(10 << min(state.refusals - 4, 5))
                state.claimAfter = scheduler.now + blink
            }
            return state.refusals == 100 && state.said.insert("room").inserted
        }
        guard isNew else { return }
        logger.warning(
            "cache \(path): no room below --cache-size and --cache-free: free space or change them; blocks are cached when there is room, reads are served"
        )
    }

    /// A claim was granted.
    func foundRoom() {
        state.withLock { state in
            state.refusals = 0
            state.claimAfter = nil
        }
    }

    // MARK: The index

    /// The index failed: without accounts nothing is written, until it is tried again.
    func indexFailed(_ error: any Error) {
        let failures = state.withLock { state in
            state.indexFailures += 1
            return state.indexFailures
        }
        let time = Duration.milliseconds(250 << min(failures - 1, 7))
        let isFirst = state.withLock { state in
            let until = scheduler.now + min(time, Self.rest)
            state.indexAfter = until
            state.restUntil = max(until, state.restUntil ?? until)
            return failures == 1
        }
        guard isFirst else { return }
        logger.warning(
            "cache \(path): index.sqlite: \(error); going on without caching more until it works again, reads are served"
        )
    }

    /// False until the index is to be tried again.
    var allowsIndex: Bool {
        state.withLock { state in
            guard let after = state.indexAfter else { return true }
            return scheduler.now >= after
        }
    }

    /// The index works.
    func indexWorks() {
        let was = state.withLock { state in
            defer {
                state.indexFailures = 0
                state.indexAfter = nil
            }
            return state.indexFailures
        }
        if was > 0 { logger.info("cache \(path): index.sqlite works again") }
    }
}
