// The account of disk space within this process: what of the claim in the index is still unused.
//
// A write first reserves the most it can take, then settles what it took. So the bytes on disk of
// all processes together never pass the limit, not even for a moment.
//
// Locks: one mutex, a leaf.

import Synchronization

/// Space claimed in the index and not yet written to.
final class Space: Sendable {
    private struct State {
        var granted: Int64 = 0
        /// Reserved by writes on their way: still part of the claim in the index.
        var reserved: Int64 = 0
        var usedSinceTick = false
    }

    private let state = Mutex(State())

    /// The claim as the index must hold it.
    var claimed: Int64 { state.withLock { max(0, $0.granted + $0.reserved) } }

    /// Takes `bytes` of the claim for a write; false when it is too small.
    func reserve(_ bytes: Int64) -> Bool {
        state.withLock { state in
            state.usedSinceTick = true
            guard state.granted >= bytes else { return false }
            state.granted -= bytes
            state.reserved += bytes
            return true
        }
    }

    /// The write that reserved `reserved` has put `written` bytes on disk.
    func settle(reserved: Int64, written: Int64) {
        state.withLock { state in
            state.reserved -= reserved
            state.granted += reserved - max(0, written)
        }
    }

    /// The index has granted `bytes` more, `reserved` of them for a write that waits.
    func grant(_ bytes: Int64, reserving reserved: Int64) {
        state.withLock { state in
            state.granted += bytes - reserved
            state.reserved += reserved
            state.usedSinceTick = true
        }
    }

    /// Gives an unused claim back when nothing was written since the last call.
    func giveBackWhenIdle() {
        state.withLock { state in
            if !state.usedSinceTick, state.reserved == 0 { state.granted = 0 }
            state.usedSinceTick = false
        }
    }

    /// The disk is fuller than the claim says: the next write must claim anew.
    func giveBack() { state.withLock { $0.granted = min(0, $0.granted) } }

    /// True while there is a claim that `giveBackWhenIdle` may give back later.
    var holdsClaim: Bool { claimed > 0 }
}
