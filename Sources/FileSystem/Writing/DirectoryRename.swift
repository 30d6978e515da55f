// rename(2) of a directory: every key below it is copied, many at once; only when all copies are
// there, the old keys are deleted, in batches. The journal has the rename while it runs, so that one
// that was cut short is finished by the next mount. At no moment is a file missing under both names.

import Logging
import Operations
import S3
import Synchronization

/// One rename of a directory.
final class DirectoryRename: Sendable {
    private let writing: Writing
    private let inode: InodeNumber
    private let renaming: Writing.Renaming
    private var context: WritingContext { writing.context }
    private var namespace: Namespace { writing.namespace }

    init(_ writing: Writing, _ inode: InodeNumber, _ renaming: Writing.Renaming) {
        self.writing = writing
        self.inode = inode
        self.renaming = renaming
    }

    func start(then: @escaping @Sendable (WriteFailure?) -> Void) {
        guard let from = namespace.key(of: inode) else {
            return then(WriteFailure(errno: .stale, reason: "the directory is gone"))
        }
        guard !renaming.key.bytes.starts(with: from.bytes) else {
            return then(WriteFailure(errno: .invalid, reason: "a directory cannot go into itself"))
        }
        // Nothing below may change between the listing of the keys and their deletion.
        context.barrier.raise(from.bytes)
        let then: @Sendable (WriteFailure?) -> Void = { [context] failure in
            context.barrier.lower(from.bytes)
            then(failure)
        }
        makeWay { [self] failure in
            if let failure { return then(failure) }
            settleFiles(below: from) { [self] failure in
                if let failure { return then(failure) }
                let id = context.records.put(
                    .rename(from: from.bytes, to: renaming.key.bytes), durable: true)
                KeyMove(context: context, from: from, to: renaming.key).run { [self] failure in
                    finish(failure, id, then)
                }
            }
        }
    }

    /// An empty directory may be replaced: its marker gives way to the copy.
    private func makeWay(then: @escaping @Sendable (WriteFailure?) -> Void) {
        guard case .directory(let target) = renaming.target else { return then(nil) }
        writing.withEmpty(target) { result in
            switch result {
            case .success: then(nil)
            case .failure(let errno):
                then(WriteFailure(errno: errno, reason: "the target is not an empty directory"))
            }
        }
    }

    /// What is being changed below the directory is published first, and deletes are carried out.
    private func settleFiles(
        below prefix: ObjectKey, then: @escaping @Sendable (WriteFailure?) -> Void
    ) {
        writing.keeper.flush { [self] in
            writing.deleter.flush { [self] in
                // All of them: what is under way in a gate must be over, too.
                let files = context.files.all.filter { file in
                    file.locked { $0.key.bytes.starts(with: prefix.bytes) }
                }
                publish(files[...], then: then)
            }
        }
    }

    private func publish(
        _ files: ArraySlice<WritableFile>, then: @escaping @Sendable (WriteFailure?) -> Void
    ) {
        guard let file = files.first else { return then(nil) }
        // Through the gate itself: other publishes wait for the rename.
        file.gate.enter { [self] leave in
            file.publishInside(attributes: true) { [self] failure in
                leave()
                if let failure { then(failure) } else { publish(files.dropFirst(), then: then) }
            }
        }
    }

    private func finish(
        _ failure: WriteFailure?, _ id: Int64?, _ then: @escaping @Sendable (WriteFailure?) -> Void
    ) {
        if let failure {
            // Copies that were made stay behind until the rename is repeated or they are removed;
            // nothing of the old directory was deleted before all of it was copied.
            context.report(failure, "rename", renaming.key)
            if let id { context.records.ended(id) }
            return then(failure)
        }
        let from = namespace.key(of: inode)
        if let failure = writing.move(renaming) { return then(failure) }
        for place in [
            (renaming.parent, renaming.name), (renaming.newParent, renaming.newName),
        ] {
            namespace.settle(parent: place.0, name: place.1)
        }
        if let from { rebase(from: from.bytes) }
        writing.keeper.lostName(renaming.parent)
        if let id { context.records.ended(id) }
        then(nil)
    }

    /// Files that are open below have new keys now.
    private func rebase(from: [UInt8]) {
        for file in context.files.all {
            file.locked { state in
                state.key = Self.moved(state.key, from, renaming.key.bytes)
                if let base = state.base {
                    state.base?.key = Self.moved(base.key, from, renaming.key.bytes)
                }
                if let published = state.published {
                    state.published?.key = Self.moved(published.key, from, renaming.key.bytes)
                }
            }
        }
    }

    private static func moved(_ key: ObjectKey, _ from: [UInt8], _ to: [UInt8]) -> ObjectKey {
        key.bytes.starts(with: from) ? ObjectKey(to + key.bytes.dropFirst(from.count)) : key
    }
}

/// Copies all keys below a prefix to another, then deletes the old ones.
final class KeyMove: Sendable {
    private struct State {
        var pages: [ObjectSummary] = []
        var next = 0
        var running = 0
        var failure: WriteFailure?
    }

    private let context: WritingContext
    private let from: ObjectKey
    private let to: ObjectKey
    private let state = Mutex(State())
    private let then = SendableBox<(@Sendable (WriteFailure?) -> Void)?>(nil)

    /// Copies under way at once: each is little more than a round trip.
    private static let parallel = 64

    init(context: WritingContext, from: ObjectKey, to: ObjectKey) {
        self.context = context
        self.from = from
        self.to = to
    }

    func run(then: @escaping @Sendable (WriteFailure?) -> Void) {
        self.then.value = then
        list(token: nil)
    }

    private func list(token: String?) {
        let request = ListRequest(
            prefix: from.bytes, delimited: false, continuationToken: token)
        context.store.list(request) { [self] result in
            switch result {
            case .failure(let error): end(WriteFailure(error))
            case .success(let page):
                state.withLock { $0.pages += page.objects }
                if let token = page.nextToken { list(token: token) } else { copyAll() }
            }
        }
    }

    private func copyAll() {
        state.withLock { $0.running = 1 }
        for _ in 0..<Self.parallel { copyNext() }
        ended(nil)
    }

    private func copyNext() {
        let object: ObjectSummary? = state.withLock { state in
            guard state.failure == nil, state.next < state.pages.count else { return nil }
            defer { state.next += 1 }
            state.running += 1
            return state.pages[state.next]
        }
        guard let object else { return }
        let version = ObjectVersion(
            key: object.key, etag: object.etag, size: object.size, modified: object.modified,
            storageClass: object.storageClass)
        let key = ObjectKey(to.bytes + object.key.bytes.dropFirst(from.bytes.count))
        let done: @Sendable (WriteFailure?) -> Void = { [self] failure in
            if failure == nil { copyNext() }
            ended(failure)
        }
        if object.size > UploadLimits.largestPart {
            Copier(context: context).copy(version, to: key, headers: nil, condition: .none) {
                if case .failure(let failure) = $0 { done(failure) } else { done(nil) }
            }
            return
        }
        let request = CopyRequest(
            source: CopySource(key: object.key, etag: object.etag), key: key)
        context.store.copy(request) { result in
            if case .failure(let error) = result { done(WriteFailure(error)) } else { done(nil) }
        }
    }

    private func ended(_ failure: WriteFailure?) {
        let outcome: WriteFailure?? = state.withLock { state in
            state.running -= 1
            state.failure = state.failure ?? failure
            return state.running == 0 ? .some(state.failure) : nil
        }
        guard let outcome else { return }
        if let failure = outcome { end(failure) } else { deleteAll(from: 0) }
    }

    private func deleteAll(from start: Int) {
        let keys = state.withLock { state in
            state.pages[min(start, state.pages.count)...].prefix(1000).map(\.key)
        }
        guard !keys.isEmpty else { return end(nil) }
        context.store.delete(keys) { [self] result in
            switch result {
            case .failure(let error): end(WriteFailure(error))
            case .success(let failed):
                if let (_, error) = failed.min(by: { $0.key < $1.key }) {
                    end(WriteFailure(error))
                } else {
                    deleteAll(from: start + keys.count)
                }
            }
        }
    }

    private func end(_ failure: WriteFailure?) {
        let then = then.update { then in
            defer { then = nil }
            return then
        }
        then?(failure)
    }
}
