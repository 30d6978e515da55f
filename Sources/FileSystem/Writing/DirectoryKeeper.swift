// The markers of directories: their attributes, and the directories that have become empty. S3 knows
// none without an object, so a directory that was only the beginning of its files' keys would vanish
// with the last of them.
//
// A marker is put a moment later: removing a whole tree puts none, and attributes that are set one
// after the other go together.
//
// Locks: `state`, a leaf.

import Operations
import S3
import Scheduling
import Synchronization

/// Puts markers for directories that have lost their last name.
final class DirectoryKeeper: Sendable {
    private struct State {
        /// Directories that wait for their marker; true when attributes changed, so that it is put
        /// also beside other names.
        var waiting: [InodeNumber: Bool] = [:]
        var timer: (any ScheduledWork)?
    }

    private let context: WritingContext
    private let state = Mutex(State())

    init(context: WritingContext) { self.context = context }

    /// A name was taken from a directory: if that was the last one, the directory must be kept.
    func lostName(_ directory: InodeNumber) {
        guard directory != NamespaceState.rootInode,
            let contents = context.namespace.contents(of: directory), !contents.hasLocalNames,
            !contents.isKnownFull, context.namespace.marker(of: directory) != .present
        else { return }
        wait(directory, isChanged: false)
    }

    /// The attributes of a directory have changed.
    func changed(_ directory: InodeNumber) { wait(directory, isChanged: true) }

    private func wait(_ directory: InodeNumber, isChanged: Bool) {
        let isNew = state.withLock { state in
            let old = state.waiting[directory]
            state.waiting[directory] = isChanged || (old ?? false)
            if state.timer == nil {
                state.timer = context.scheduler.after(context.configuration.gatherTime) {
                    [weak self] in self?.flush {}
                }
            }
            return old == nil
        }
        if isNew { context.namespace.pin(directory) }
    }

    /// The directory was removed or has names again: nothing is to be kept.
    func forget(_ directory: InodeNumber) {
        let wasWaiting = state.withLock { $0.waiting.removeValue(forKey: directory) != nil }
        if wasWaiting { context.namespace.unpin(directory) }
    }

    /// Puts the markers that wait.
    func flush(then: @escaping @Sendable () -> Void) {
        let directories = state.withLock { state in
            state.timer?.cancel()
            state.timer = nil
            defer { state.waiting = [:] }
            return state.waiting.sorted { $0.key < $1.key }
        }
        guard !directories.isEmpty else { return then() }
        let left = SendableBox(directories.count)
        for (directory, isChanged) in directories {
            keep(directory, isChanged: isChanged) { [context] in
                context.namespace.unpin(directory)
                let isLast = left.update { left in
                    left -= 1
                    return left == 0
                }
                if isLast { then() }
            }
        }
    }

    private func keep(
        _ directory: InodeNumber, isChanged: Bool, then: @escaping @Sendable () -> Void
    ) {
        let namespace = context.namespace
        guard let key = namespace.key(of: directory),
            let place = namespace.parentAndName(of: directory),
            let attributes = namespace.attributes(of: directory),
            let contents = namespace.contents(of: directory),
            isChanged || !contents.hasLocalNames && !contents.isKnownFull
        else { return then() }
        let headers = Writing.markerHeaders(LocalRecord(attributes))
        let request = PutRequest(key: key, body: nil, headers: headers)
        context.deleter.whenFree(key) { [context] in
            context.store.put(request) { result in
                switch result {
                case .success: namespace.settle(parent: place.parent, name: place.name)
                case .failure(let error): context.report(WriteFailure(error), "keep", key)
                }
                then()
            }
        }
    }
}
