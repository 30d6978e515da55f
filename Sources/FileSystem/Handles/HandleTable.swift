// Open files by number.
//
// Locks: one leaf mutex.

import Operations
import Synchronization

/// The open files of a mount. Numbers are never used twice.
final class HandleTable: Sendable {
    private struct State: ~Copyable {
        var handles: [HandleNumber: OpenFile] = [:]
        /// How often each inode is open.
        var counts: [InodeNumber: Int] = [:]
        var next: HandleNumber = 1
    }

    private let state = Mutex(State())

    /// Gives an open file its number.
    func insert(_ handle: OpenFile) -> HandleNumber {
        state.withLock { state in
            let number = state.next
            state.next += 1
            state.handles[number] = handle
            state.counts[handle.inode, default: 0] += 1
            return number
        }
    }

    /// The file behind a number; nil when it is not open.
    func find(_ number: HandleNumber) -> OpenFile? {
        state.withLock { $0.handles[number] }
    }

    /// Forgets a number and returns its file.
    func remove(_ number: HandleNumber) -> OpenFile? {
        state.withLock { state in
            guard let handle = state.handles.removeValue(forKey: number) else { return nil }
            let left = state.counts[handle.inode, default: 1] - 1
            state.counts[handle.inode] = left > 0 ? left : nil
            return handle
        }
    }

    /// Forgets all of them, in the order they were opened.
    func removeAll() -> [OpenFile] {
        state.withLock { state in
            let handles = state.handles.sorted { $0.key < $1.key }.map(\.value)
            state.handles = [:]
            state.counts = [:]
            return handles
        }
    }

    /// How often an inode is open.
    func count(of inode: InodeNumber) -> Int { state.withLock { $0.counts[inode] ?? 0 } }

    /// How many files are open.
    var count: Int { state.withLock { $0.handles.count } }
}
