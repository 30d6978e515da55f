// The staging area in memory, with a disk's faults and what a crash leaves of it.
//
// A killed process loses nothing that it wrote. A power loss takes what was not synchronized: each
// page of 4 KiB written since is either the new one or the old one, sizes likewise, and a file that
// was never synchronized may be gone. The next life opens what survived.
//
// Locks: one mutex, a leaf; crash points are passed and waiters called outside it.

public import BlockStore
import Glibc
public import Scheduling
import Synchronization

/// What goes wrong with the staging area: probabilities (0 to 1).
public struct StagingFaults: Sendable {
    /// Writes (and new files) for which the disk is full; some of the bytes may be written.
    public var full: Double = 0
    /// Writes, synchronizations and journal writes that fail.
    public var failure: Double = 0

    /// No faults.
    public init() {}
}

/// Staged files and their account, in memory.
public final class MemoryStaging: StagingStorage {
    public let journal: any Journal
    private let memoryJournal: MemoryJournal
    private let scheduler: any Scheduler
    let points: CrashPoints
    let state: Mutex<State>

    struct State {
        var files: [String: StagedContents] = [:]
        /// Unlinked since the start: a power loss may bring them back.
        var removed: [String: StagedContents] = [:]
        var made = 0
        var claimed: Int64 = 0
        var limit: Int64
        var isReleased = false
        var waiters: [@Sendable () -> Void] = []
        var faults = StagingFaults()
        var isFull = false
        var generator: SeededGenerator
        var refusedClaims = 0
    }

    /// - Parameters:
    ///   - limit: the most bytes to be claimed.
    ///   - seed: decides faults, and what a power loss takes.
    public convenience init(
        scheduler: any Scheduler, limit: Int64, points: CrashPoints = CrashPoints(), seed: UInt64
    ) {
        self.init(
            scheduler: scheduler, points: points,
            journal: MemoryJournal(points: points, seed: seed ^ 0x4A),
            state: State(limit: limit, generator: SeededGenerator(seed: seed)))
    }

    private init(
        scheduler: any Scheduler, points: CrashPoints, journal: MemoryJournal, state: sending State
    ) {
        self.scheduler = scheduler
        self.points = points
        self.journal = journal
        memoryJournal = journal
        self.state = Mutex(state)
    }

    // MARK: What is in it

    /// Names and sizes of the files that are there.
    public var files: [String: Int64] { state.withLock { $0.files.mapValues(\.size) } }
    /// Claims that were refused so far.
    public var refusedClaims: Int { state.withLock { $0.refusedClaims } }

    public var usage: (claimed: Int64, limit: Int64) {
        state.withLock { ($0.claimed, $0.limit) }
    }

    /// What goes wrong, and how often.
    public var faults: StagingFaults {
        get { state.withLock { $0.faults } }
        set {
            state.withLock { $0.faults = newValue }
            memoryJournal.failure = newValue.failure
        }
    }

    /// True refuses every write, as a full disk does.
    public var isFull: Bool {
        get { state.withLock { $0.isFull } }
        set { state.withLock { $0.isFull = newValue } }
    }

    // MARK: A crash

    /// Ends this life, if it has not ended yet, and opens the next one on what survives.
    public func crash(
        powerLoss: Bool, scheduler: any Scheduler, points next: CrashPoints
    ) -> MemoryStaging {
        points.die("crash")
        let survived = state.withLock { state -> State in
            var survived = State(limit: state.limit, generator: state.generator)
            survived.made = state.made
            survived.files = state.files.mapValues { $0.copy() }
            guard powerLoss else { return survived }
            for name in state.removed.keys.sorted() where survived.generator.chance(0.5) {
                survived.files[name] = state.removed[name]!.copy()
            }
            for name in survived.files.keys.sorted()
            where !survived.files[name]!.losePower(using: &survived.generator) {
                survived.files[name] = nil
            }
            return survived
        }
        return MemoryStaging(
            scheduler: scheduler, points: next,
            journal: memoryJournal.survivor(powerLoss: powerLoss, points: next), state: survived)
    }

    // MARK: StagingStorage

    public func makeFile() throws(StagingError) -> any StagedFile {
        guard !points.isDead else { throw .failed(EIO) }
        let made: (String, StagedContents)? = state.withLock { state in
            if state.isFull || state.generator.chance(state.faults.full) { return nil }
            state.made += 1
            let (name, contents) = ("file-\(state.made)", StagedContents())
            state.files[name] = contents
            return (name, contents)
        }
        guard let (name, contents) = made else { throw .full }
        return MemoryStagedFile(storage: self, name: name, contents: contents)
    }

    public func file(named name: String) -> (any StagedFile)? {
        let contents = state.withLock { $0.files[name] }
        return contents.map { MemoryStagedFile(storage: self, name: name, contents: $0) }
    }

    public func removeOrphans(keeping names: Set<String>) {
        guard !points.isDead else { return }
        state.withLock { state in
            for name in state.files.keys.sorted() where !names.contains(name) {
                state.removed[name] = state.files.removeValue(forKey: name)
            }
        }
    }

    public func claim(_ bytes: Int64) -> Bool {
        precondition(bytes >= 0, "a negative claim")
        return state.withLock { state in
            guard bytes <= state.limit - state.claimed else {
                state.isReleased = false
                state.refusedClaims += 1
                return false
            }
            state.claimed += bytes
            return true
        }
    }

    public func claimPresent(_ bytes: Int64) { state.withLock { $0.claimed += bytes } }

    public func release(_ bytes: Int64) {
        let waiters = state.withLock { state in
            precondition(bytes >= 0 && bytes <= state.claimed, "more released than claimed")
            state.claimed -= bytes
            state.isReleased = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { scheduler.run(waiter) }
    }

    public func whenReleased(_ body: @escaping @Sendable () -> Void) {
        let isNow = state.withLock { state in
            if !state.isReleased { state.waiters.append(body) }
            return state.isReleased
        }
        if isNow { scheduler.run(body) }
    }
}
