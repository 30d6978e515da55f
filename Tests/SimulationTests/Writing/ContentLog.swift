// What each file held when: the contents that the bucket may show of it.

import Simulation

/// The contents of one file, as numbers that tell them apart.
struct ContentLog {
    /// Since the last acknowledged publish, that one first.
    var states: [Int] = []
    /// close(2) or fsync(2) has said that `states.first` is safe.
    var isAcknowledged = false
    /// A write failed in its middle: some of its bytes may be there.
    var isSpoilt = false
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

    /// What the file held from its `first`th state on is safe.
    mutating func acknowledge(_ number: PosixModel.Number, from first: Int) {
        guard let count = logs[number]?.states.count, count > 0 else { return }
        // An older acknowledgement may have taken states away meanwhile.
        logs[number]!.states.removeFirst(max(0, min(first, count - 1)))
        logs[number]!.isAcknowledged = true
    }

    mutating func spoil(_ number: PosixModel.Number) {
        logs[number, default: ContentLog()].isSpoilt = true
    }
}
