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
        var isBroken = false
    }

    /// How long caching rests after a failed write.
    static let rest = Duration.seconds(30)

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
        let now = scheduler.now
        return state.withLock { state in
            guard !state.isBroken else { return false }
            guard let until = state.restUntil else { return true }
            if now < until { return false }
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
        restFor("\(errorText(errno)): \(advice)")
    }

    /// Nothing can be evicted to make room.
    func noRoom() {
        restFor("no room below --cache-size and --cache-free: free space or change them")
    }

    private func restFor(_ reason: String) {
        let until = scheduler.now + Self.rest
        let isNew = state.withLock { state in
            state.restUntil = until
            return state.said.insert(reason).inserted
        }
        guard isNew else { return }
        logger.warning("cache \(path): \(reason); going on without caching more, reads are served")
    }

    /// The index failed: nothing can be accounted any more, so nothing more is written.
    func indexFailed(_ error: any Error) {
        let isNew = state.withLock { state in
            defer { state.isBroken = true }
            return !state.isBroken
        }
        guard isNew else { return }
        logger.warning(
            "cache \(path): index.sqlite: \(error); no more is cached until the next mount")
    }
}
