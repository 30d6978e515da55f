// Kernel notifications and give-backs, on a thread of their own.
//
// An invalidation waits in the kernel for pages and directories that requests of ours hold; sent from
// a thread that answers requests, or under a lock, it would deadlock. So callers only queue.
//
// THE RULE: no answer to the kernel may wait, however indirectly, for this thread. An invalidated inode
// waits for its pages: those being read or written through wait for our answers to READ and WRITE, and
// dirty ones (of a shared mapping) are first written to us. An invalidated name waits for the lock of
// its directory, which create, unlink, rename and lookup hold until we answer. So whoever answers only
// queues here, and nothing that an answer needs (memory, an upload's turn, a handle's end) may be given
// back only by a `run`. While one such wait lasts, what is queued behind it is late, never lost.
//
// Duplicates fold together: one pending range per inode, one pending invalidation per name. Inodes are
// bounded by what the kernel knows; names are bounded by `nameLimit`, beyond which the oldest half is
// dropped (its timeouts heal it) and said once.
//
// Locks: one leaf mutex, never held while the kernel or the file system is called.

internal import CFuse
internal import Logging
internal import Operations
internal import Synchronization

/// The queue and its thread.
final class Notifier: Sendable {
    /// Names pending at most.
    static let nameLimit = 1 << 17

    private struct Name: Hashable {
        var parent: InodeNumber
        var name: [UInt8]
    }
    private struct Range {
        var start: Int64
        /// `Int64.max`: to the end of the file.
        var end: Int64
    }
    private struct State {
        var inodes: [InodeNumber: Range] = [:]
        var names: Set<Name> = []
        var works: [@Sendable () -> Void] = []
        var isRunning = false
        var isStopping = false
        var saidFull = false
        var isEmpty: Bool { inodes.isEmpty && names.isEmpty && works.isEmpty }
    }

    private let state = Mutex(State())
    private let wake = Semaphore()
    private let ended = Semaphore()
    private let logger: Logger

    init(logger: Logger) { self.logger = logger }

    /// Starts the thread. What was queued before is sent.
    func start(_ session: SessionHandle) throws(FuseError) {
        state.withLock { $0.isRunning = true }
        do {
            try ServiceThread.start(name: "pail-notify") { [self] in loop(session) }
        } catch {
            state.withLock { $0.isRunning = false }
            throw error
        }
    }

    /// Ends the thread; what is pending is dropped, but works are run. Call more than once at will.
    ///
    /// - Returns: false when the thread is still inside the kernel after `timeout`.
    func stop(within timeout: Duration) -> Bool {
        let isRunning = state.withLock { state in
            state.isStopping = true
            state.inodes = [:]
            state.names = []
            return state.isRunning
        }
        guard isRunning else { return true }
        wake.signal()
        guard ended.wait(for: timeout) else { return false }
        ended.signal()
        return true
    }

    func invalidate(_ inode: InodeNumber, offset: Int64, length: Int64) {
        let end = length <= 0 ? Int64.max : offset.addingReportingOverflow(length).partialValue
        let range = Range(start: offset, end: end < offset ? Int64.max : end)
        queue { state in
            guard let old = state.inodes[inode] else {
                state.inodes[inode] = range
                return
            }
            // A negative offset (attributes only) is covered by any other range.
            state.inodes[inode] =
                old.start < 0
                ? range
                : range.start < 0
                    ? old : Range(start: min(old.start, range.start), end: max(old.end, range.end))
        }
    }

    func invalidate(parent: InodeNumber, name: [UInt8]) {
        var isFull = false
        queue { state in
            if state.names.count >= Self.nameLimit {
                isFull = !state.saidFull
                state.saidFull = true
                for name in state.names.prefix(Self.nameLimit / 2) { state.names.remove(name) }
            }
            state.names.insert(Name(parent: parent, name: name))
        }
        if isFull {
            logger.warning(
                """
                more than \(Self.nameLimit) changed names wait for the kernel; some changes show \
                only after --metadata-ttl
                """)
        }
    }

    /// Runs `work` on the thread; dropped once stopped.
    func run(_ work: @escaping @Sendable () -> Void) { queue { $0.works.append(work) } }

    private func queue(_ change: (inout State) -> Void) {
        let mustWake = state.withLock { state in
            guard !state.isStopping else { return false }
            let wasEmpty = state.isEmpty
            change(&state)
            return wasEmpty
        }
        if mustWake { wake.signal() }
    }

    private func loop(_ session: SessionHandle) {
        while true {
            wake.wait()
            let (inodes, names, works, isStopping) = state.withLock { state in
                defer {
                    state.inodes = [:]
                    state.names = []
                    state.works = []
                }
                return (state.inodes, state.names, state.works, state.isStopping)
            }
            for work in works { work() }
            for (inode, range) in inodes {
                if isStopped { break }
                session.invalidate(
                    inode: inode, offset: range.start,
                    length: range.end == .max ? 0 : range.end - range.start)
            }
            for name in names {
                if isStopped { break }
                session.invalidate(parent: name.parent, name: name.name)
            }
            if isStopping { break }
        }
        ended.signal()
    }

    private var isStopped: Bool { state.withLock { $0.isStopping } }
}
