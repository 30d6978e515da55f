// Open files by number.
//
// Locks: one leaf mutex.

import Operations
import Synchronization

/// The open files of a mount. Numbers are never used twice.
final class HandleTable: Sendable {
    private struct State: ~Copyable {
        var handles: [HandleNumber: OpenFile] = [:]
        var next: HandleNumber = 1
    }

    private let state = Mutex(State())

    /// Gives an open file its number.
    func insert(_ handle: OpenFile) -> HandleNumber {
        state.withLock { state in
            let number = state.next
            state.next += 1
            state.handles[number] = handle
            return number
        }
    }

    /// The file behind a number; nil when it is not open.
    func find(_ number: HandleNumber) -> OpenFile? {
        state.withLock { $0.handles[number] }
    }

    /// Forgets a number and returns its file.
    func remove(_ number: HandleNumber) -> OpenFile? {
        state.withLock { $0.handles.removeValue(forKey: number) }
    }

    /// Forgets all of them, in the order they were opened.
    func removeAll() -> [OpenFile] {
        state.withLock { state in
            let handles = state.handles.sorted { $0.key < $1.key }.map(\.value)
            state.handles = [:]
            return handles
        }
    }

    /// How many files are open.
    var count: Int { state.withLock { $0.handles.count } }
}
