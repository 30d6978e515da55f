// The journal in memory. A killed process loses nothing of it; a power loss takes a suffix of what
// was done since the last durable write.
//
// Locks: one mutex, a leaf; crash points are passed outside it.

public import BlockStore
import Glibc
import Synchronization

/// Records by number.
public final class MemoryJournal: Journal {
    private let points: CrashPoints
    private let state: Mutex<State>

    private struct State {
        var records: [Int64: [UInt8]] = [:]
        /// The tables after each change since the last durable one, that one first.
        var history: [[Int64: [UInt8]]] = [[:]]
        var lastID: Int64 = 0
        var generator: SeededGenerator
        var failure: Double = 0
        var writes = 0

        mutating func changed(durable: Bool) {
            writes += 1
            if durable { history = [records] } else { history.append(records) }
        }
    }

    public convenience init(points: CrashPoints = CrashPoints(), seed: UInt64) {
        self.init(points: points, State(generator: SeededGenerator(seed: seed)))
    }

    private init(points: CrashPoints, _ state: sending State) {
        self.points = points
        self.state = Mutex(state)
    }

    /// Puts and removes that fail, as a probability.
    public var failure: Double {
        get { state.withLock { $0.failure } }
        set { state.withLock { $0.failure = newValue } }
    }

    /// Puts and removes so far.
    public var writes: Int { state.withLock { $0.writes } }

    /// The journal as the next life finds it.
    func survivor(powerLoss: Bool, points: CrashPoints) -> MemoryJournal {
        let survived = state.withLock { state -> State in
            var survived = State(generator: state.generator)
            survived.lastID = state.lastID
            survived.records =
                powerLoss
                ? state.history.randomElement(using: &survived.generator)! : state.records
            survived.history = [survived.records]
            return survived
        }
        return MemoryJournal(points: points, survived)
    }

    @discardableResult
    public func put(
        _ record: [UInt8], id: Int64?, durable: Bool
    ) throws(StagingError) -> Int64 {
        guard points.pass("journal put") else { throw .failed(EIO) }
        let number: Int64? = state.withLock { state in
            if state.generator.chance(state.failure) { return nil }
            let number = id ?? state.lastID + 1
            state.lastID = max(state.lastID, number)
            state.records[number] = record
            state.changed(durable: durable)
            return number
        }
        guard let number else { throw .failed(EIO) }
        guard points.pass("journal has put \(number)") else { throw .failed(EIO) }
        return number
    }

    public func remove(_ id: Int64) throws(StagingError) {
        guard points.pass("journal remove \(id)") else { throw .failed(EIO) }
        let fails = state.withLock { state in
            if state.generator.chance(state.failure) { return true }
            state.records[id] = nil
            state.changed(durable: false)
            return false
        }
        if fails { throw .failed(EIO) }
    }

    public func records() throws(StagingError) -> [(id: Int64, record: [UInt8])] {
        guard !points.isDead else { throw .failed(EIO) }
        return state.withLock { state in
            state.records.sorted { $0.key < $1.key }.map { (id: $0.key, record: $0.value) }
        }
    }
}
