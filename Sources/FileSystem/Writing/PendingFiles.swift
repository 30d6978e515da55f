// Files that are not in the bucket yet, as the operator sees them, and what he can decide about them:
// try again, take them away, copy their bytes elsewhere (PendingCopy).
//
// Two kinds: files of this mount's table, which have a name here, and `waiting` ones of an earlier
// life, which have only a key. Nothing here waits for the network or the disk on the caller's thread.

import BlockStore
import Operations
import S3
import Scheduling

/// A file that is not in the bucket yet.
public struct PendingFile: Sendable, Equatable {
    public enum State: String, Sendable {
        /// A program has it open.
        case open
        /// It will be published; with a problem, that was tried and will be again.
        case waiting
        /// Publishing failed; somebody has to decide.
        case failed
    }

    /// Names it as long as the mount lives.
    public var id: String
    /// Below the mountpoint, as bytes.
    public var path: [UInt8]
    public var key: [UInt8]
    /// Bytes.
    public var size: Int64
    public var state: State
    /// Why publishing failed, one line.
    public var problem: String?
    /// Since when it waits, in nanoseconds since 1970; nil while it is open.
    public var since: Int64?
}

/// The files that are not in the bucket yet.
struct PendingFiles: Sendable {
    let writing: Writing
    private var context: WritingContext { writing.context }

    // MARK: Looking

    /// All of them: those of this life by inode, then those of an earlier one.
    var all: [PendingFile] {
        let live = context.files.all.compactMap { describe($0, "i\($0.inode)") }
        let old = writing.waiting.all.compactMap { file in
            file.locked { $0.journalID }.flatMap { describe(file, "j\($0)") }
        }
        return live + old
    }

    /// How many there are, and the bytes that are still to be sent.
    var amount: (files: Int, bytes: Int64) {
        (context.files.all + writing.waiting.all).reduce((0, 0)) { sum, file in
            file.locked { state in
                guard state.isDirty else { return sum }
                let bytes =
                    state.hasNewContent ? state.extents.bytes([.dirty], in: 0..<state.size) : 0
                return (sum.0 + 1, sum.1 + bytes)
            }
        }
    }

    private func describe(_ file: WritableFile, _ id: String) -> PendingFile? {
        let isOpen = file.inode != 0 && context.handles.count(of: file.inode) > 0
        let prefix = context.namespace.configuration.rootPrefix.count
        return file.locked { state in
            guard state.isDirty else { return nil }
            let problem = state.failure?.reason ?? state.problem
            let isTriedAgain =
                context.configuration.isWriteBack && file.inode != 0
                && state.failure?.cause?.isWorthTryingLater == true
            return PendingFile(
                id: id, path: Self.path(state.key.bytes.dropFirst(prefix)), key: state.key.bytes,
                size: state.size,
                state: isOpen ? .open : problem == nil || isTriedAgain ? .waiting : .failed,
                problem: problem,
                since: state.waitsSince)
        }
    }

    /// A key below the root prefix as the path that shows it: never absolute, never upwards.
    static func path(_ key: ArraySlice<UInt8>) -> [UInt8] {
        Array(components(key).joined(separator: [0x2F]))
    }

    /// The names of that path.
    static func components(_ key: ArraySlice<UInt8>) -> [[UInt8]] {
        key.split(separator: 0x2F, omittingEmptySubsequences: false).flatMap {
            KeyEscape.names(component: Array($0))
        }
    }

    /// The file that `id` names, if it still has the path.
    func find(_ id: String, path: [UInt8]) -> WritableFile? {
        guard let number = UInt64(id.dropFirst()),
            let found = all.first(where: { $0.id == id && $0.path == path })
        else { return nil }
        if found.id.hasPrefix("i") { return context.files.find(number) }
        return writing.waiting.all.first {
            $0.locked { $0.journalID.map { UInt64($0) } } == number
        }
    }

    // MARK: Trying again

    /// Publishes a file now, also one that failed.
    func retry(_ file: WritableFile, then: @escaping @Sendable (WriteFailure?) -> Void) {
        guard file.inode == 0 else {
            guard let file = context.files.enter(file.inode) else { return then(nil) }
            file.publish(attributes: true) { [context] failure in
                context.files.leave(file)
                then(failure)
            }
            return
        }
        unlessChanged(file) { [writing] refusal in
            let end: @Sendable (WriteFailure?) -> Void = { failure in
                if failure == nil {
                    writing.waiting.remove(file)
                    file.retire()
                } else {
                    file.locked { $0.problem = failure?.reason }
                }
                then(failure)
            }
            if let refusal { return end(refusal) }
            file.publish(attributes: true) { [context] failure in
                // The record is written on a thread that may wait for the disk.
                context.scheduler.run {
                    if let failure { _ = file.keep(problem: failure.reason) }
                    end(failure)
                }
            }
        }
    }

    /// A file of an earlier life must not replace what was written under its key since.
    private func unlessChanged(
        _ file: WritableFile, then: @escaping @Sendable (WriteFailure?) -> Void
    ) {
        let (key, known) = file.locked { ($0.key, $0.published?.etag) }
        let refusal = WriteFailure(
            errno: .stale,
            reason: "another version was written since; save this one elsewhere "
                + "(pail pending --save), then discard it")
        let isRewritten = context.files.all.contains { other in
            other.locked { $0.key == key && $0.isDirty }
        }
        if isRewritten { return then(refusal) }
        context.store.head(key) { result in
            switch result {
            case .success(let head) where head.etag == known: then(nil)
            case .success: then(refusal)
            case .failure(let error) where error.kind == .notFound: then(nil)
            case .failure(let error): then(WriteFailure(error))
            }
        }
    }

    /// Publishes everything, also what failed before. `then` gets the failures.
    func flush(then: @escaping @Sendable ([WriteFailure]) -> Void) {
        writing.keeper.flush { [self] in
            writing.deleter.flush { [self] in
                let failures = SendableBox<[WriteFailure]>([])
                let left = Countdown { then(failures.value) }
                for file in context.files.all + writing.waiting.all
                where file.locked({ $0.isDirty }) {
                    left.add()
                    retry(file) { failure in
                        if let failure { failures.update { $0.append(failure) } }
                        left.done()
                    }
                }
                left.done()
            }
        }
    }

    // MARK: Taking away

    /// Gives a file's changes up: the bucket's version rules again, or none.
    func discard(_ file: WritableFile, then: @escaping @Sendable (WriteFailure?) -> Void) {
        if file.inode != 0 {
            guard context.files.enter(file.inode) === file else { return then(nil) }
        }
        file.gate.enter { [self] leave in
            file.dropStream { [self] in
                let isTaken = file.inode == 0 || context.files.takeAway(file)
                if isTaken { forget(file) }
                leave()
                if file.inode != 0 {
                    context.files.leave(file)
                    // It left the table before its last user: nobody else lets go of it.
                    if isTaken { context.namespace.unpin(file.inode) }
                }
                then(
                    isTaken
                        ? nil
                        : WriteFailure(
                            errno: .busy, reason: "a program has it open; close it first"))
            }
        }
    }

    private func forget(_ file: WritableFile) {
        let isNew = file.locked { state in
            state.isRemoved = true
            return state.published == nil
        }
        file.forgetRecord()
        file.discard()
        writing.waiting.remove(file)
        guard file.inode != 0 else { return }
        // The kernel's pages are of what was taken away.
        context.opened.forget(file.inode)
        guard let place = context.namespace.parentAndName(of: file.inode) else { return }
        context.namespace.withdraw(parent: place.parent, name: place.name)
        if isNew { writing.keeper.lostName(place.parent) }
    }

    // MARK: At the end

    /// Makes everything that is not in the bucket safe here, for the next mount. Waits for the disk.
    ///
    /// - Returns: what could not be made safe.
    func keepAll() -> [WriteFailure] {
        context.files.all.compactMap { file in
            file.keep(problem: file.locked { $0.failure?.reason })
        }
    }
}
