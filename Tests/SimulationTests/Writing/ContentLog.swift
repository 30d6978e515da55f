// What each file held when: the contents that the bucket may show of it.

import Simulation

/// The contents of one file, as numbers that tell them apart.
struct ContentLog {
    /// Since the last acknowledged publish, that one first.
    var states: [Int] = []
    /// How many states there were before those.
    var earlier = 0
    /// close(2) or fsync(2) has said that `states.first` is safe.
    var isAcknowledged = false
    /// A write failed in its middle: some of its bytes may be there.
    var isSpoilt = false

    /// The number of the state it has now.
    var current: Int { earlier + states.count - 1 }

    /// The states from a number on.
    func states(from number: Int) -> ArraySlice<Int> { states.dropFirst(max(0, number - earlier)) }
}

struct ContentLogs {
    private(set) var logs: [PosixModel.Number: ContentLog] = [:]
    /// Every content that any file ever had: what no publish could have produced is not in it.
    private(set) var everyState: Set<Int> = []

    subscript(number: PosixModel.Number) -> ContentLog { logs[number] ?? ContentLog() }

    static func state(of bytes: [UInt8]) -> Int { bytes.hashValue }

    /// A file has (or is about to have) these bytes.
    mutating func note(_ number: PosixModel.Number, _ bytes: [UInt8]) {
        let state = Self.state(of: bytes)
        everyState.insert(state)
        if logs[number]?.states.last != state {
            logs[number, default: ContentLog()].states.append(state)
        }
    }

    mutating func note(_ bytes: [UInt8]) { everyState.insert(Self.state(of: bytes)) }

    /// What the file held from the state of a number on is safe.
    mutating func acknowledge(_ number: PosixModel.Number, from first: Int) {
        guard let log = logs[number], !log.states.isEmpty else { return }
        // A younger acknowledgement may have come before.
        let dropped = max(0, min(first - log.earlier, log.states.count - 1))
        logs[number]!.states.removeFirst(dropped)
        logs[number]!.earlier += dropped
        logs[number]!.isAcknowledged = true
    }

    mutating func spoil(_ number: PosixModel.Number) {
        logs[number, default: ContentLog()].isSpoilt = true
    }
}
