// The objects in use in this process, which of them have open files, and what is known to be cached.
//
// Locks: one mutex; nothing is locked and no file touched under it. Objects are released outside it,
// because their end comes back here.

import Synchronization

/// Objects by name.
final class Registry: Sendable {
    private struct Weak {
        weak var object: StoredObject?
    }

    private struct State {
        var objects: [ObjectName: Weak] = [:]
        /// Kept, with their files, for the next open.
        var open: [ObjectName: StoredObject] = [:]
        /// Prefixes of the names of objects that are on disk. A prefix too many costs one failing
        /// openat, one too few a lost chance.
        var known: Set<UInt64> = []
    }

    private let state = Mutex(State())
    private let openLimit: Int

    /// - Parameter openLimit: objects whose files stay open.
    init(openLimit: Int) { self.openLimit = openLimit }

    /// The object in use, or the one that `make` makes (told whether it may be on disk).
    func object(_ name: ObjectName, _ make: (Bool) -> StoredObject) -> StoredObject {
        state.withLock { state in
            if let object = state.objects[name]?.object { return object }
            let object = make(state.known.contains(name.prefix))
            state.objects[name] = Weak(object: object)
            return object
        }
    }

    /// The object in use, if it is.
    func inUse(_ name: ObjectName) -> StoredObject? {
        state.withLock { $0.objects[name]?.object }
    }

    /// An object's end.
    func forget(_ name: ObjectName) {
        // A successor of the same name is let go of outside the lock: it may be its end, too.
        let successor = state.withLock { state in
            let successor = state.objects[name]?.object
            if successor == nil { state.objects[name] = nil }
            return successor
        }
        withExtendedLifetime(successor) {}
    }

    /// An object has opened its files; called under its `disk` lock.
    func opened(_ object: StoredObject) {
        state.withLock { $0.open[object.name] = object }
    }

    /// An object has closed its files; called under its `disk` lock, by one who holds it.
    func closed(_ object: StoredObject) {
        _ = state.withLock { $0.open.removeValue(forKey: object.name) }
    }

    /// More files are open than the limit allows.
    var isFull: Bool { state.withLock { $0.open.count > openLimit } }

    /// Closes files until no more than three quarters of the limit are open, those longest unused
    /// first. Waits for the disk: called by writers, with no lock held.
    func closeSome() {
        let open: [StoredObject] = state.withLock { state in
            state.open.count > openLimit ? Array(state.open.values) : []
        }
        guard !open.isEmpty else { return }
        let oldest = open.map { ($0.state.withLock { $0.lastUse }, $0) }
            .sorted { $0.0 < $1.0 }.prefix(open.count - openLimit * 3 / 4)
        for (_, object) in oldest {
            let files = object.state.withLock { state in
                defer { state.files = nil }
                return state.files
            }
            let last = state.withLock { $0.open.removeValue(forKey: object.name) }
            withExtendedLifetime((files, last)) {}
        }
    }

    /// Lets go of everything kept open.
    func closeAll() {
        let open = state.withLock { state in
            defer { state.open = [:] }
            return state.open
        }
        for object in open.values {
            let files = object.state.withLock { state in
                defer { state.files = nil }
                return state.files
            }
            withExtendedLifetime(files) {}
        }
    }

    func noteExists(_ name: ObjectName) {
        _ = state.withLock { $0.known.insert(name.prefix) }
    }

    func noteExist(_ names: [ObjectName]) {
        state.withLock { state in
            for name in names { state.known.insert(name.prefix) }
        }
    }

    func noteGone(_ name: ObjectName) {
        _ = state.withLock { $0.known.remove(name.prefix) }
    }
}
