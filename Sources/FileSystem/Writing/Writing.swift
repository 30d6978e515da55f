// The writing half of the file system: what changes names and files. Its methods are the changing
// operations of `FileOperations`, one file for each kind.
//
// What must be known of a name first is resolved (from memory, or one round trip); what the bucket
// must be told happens before the answer; the namespace shows a change at once, and is told when the
// bucket shows it too.

import BlockStore
import Glibc
import Logging
import Operations
import S3
import Scheduling

/// Changes to a mount.
final class Writing: Sendable {
    let context: WritingContext
    var deleter: Deleter { context.deleter }
    let keeper: DirectoryKeeper
    let waiting = WaitingFiles()
    var namespace: Namespace { context.namespace }
    var store: any WritableObjectStore { context.store }

    init(context: WritingContext) {
        self.context = context
        keeper = DirectoryKeeper(context: context)
    }

    /// What is under a name now, once no directory above it is being renamed.
    ///
    /// - Parameter pinning: keeps the inode in memory until `unpin`.
    func resolve(
        _ parent: InodeNumber, _ name: [UInt8], pinning: Bool = false,
        then: @escaping @Sendable (Result<Occupant, Errno>) -> Void
    ) {
        let key: @Sendable () -> [UInt8]? = { [namespace] in namespace.key(of: parent)?.bytes }
        context.barrier.pass(key) { [self] in
            namespace.resolve(parent: parent, name: name, pinning: pinning) { [self] result in
                // It may have taken a round trip.
                context.barrier.pass(key) { then(result) }
            }
        }
    }

    // MARK: Files at hand

    /// The file of an inode, made from its version when it is not being changed yet. `leave` must
    /// follow.
    func enter(
        _ inode: InodeNumber, then: @escaping @Sendable (Result<WritableFile, Errno>) -> Void
    ) {
        if let file = context.files.enter(inode) { return then(.success(file)) }
        withVersion(of: inode) { [self] result in
            then(
                result.flatMap { version in
                    guard let attributes = namespace.attributes(of: inode) else {
                        return .failure(.stale)
                    }
                    return .success(
                        context.files.enter(inode) { makeFile(inode, version, attributes) })
                })
        }
    }

    private func withVersion(
        of inode: InodeNumber, then: @escaping @Sendable (Result<ObjectVersion, Errno>) -> Void
    ) {
        if let version = namespace.version(of: inode) { return then(.success(version)) }
        namespace.refresh(inode) { result in
            switch result {
            case .success(let version?): then(.success(version))
            case .success(nil): then(.failure(.stale))
            case .failure(let error): then(.failure(Failure(error).errno))
            }
        }
    }

    private func makeFile(
        _ inode: InodeNumber, _ version: ObjectVersion, _ attributes: FileAttributes
    ) -> WritableFile {
        let state = FileState(
            key: version.key, base: version, published: version,
            extents: ExtentMap(size: version.size, source: .base),
            record: LocalRecord(attributes))
        return WritableFile(inode: inode, context: context, state: state)
    }

    // MARK: Open and close

    /// Opens for writing, or empties the file (O_TRUNC).
    func open(_ inode: InodeNumber, flags: Int32, reply: Reply<OpenAnswer>) {
        enter(inode) { [self] result in
            switch result {
            case .failure(let errno): reply.fail(errno)
            case .success(let file):
                let isArchived = file.locked {
                    $0.base?.storageClass.isArchived ?? false && $0.extents.contains([.base])
                }
                if isArchived, flags & O_TRUNC == 0 {
                    context.files.leave(file)
                    reply.fail(.accessDenied)
                } else if flags & O_TRUNC != 0 {
                    file.truncate(to: 0) { [self] failure in
                        if let failure {
                            context.files.leave(file)
                            reply.fail(failure.errno)
                        } else {
                            answer(file, flags: flags, reply)
                        }
                    }
                } else {
                    answer(file, flags: flags, reply)
                }
            }
        }
    }

    /// Answers an open of a file that is being changed; ends the use that was entered for it.
    func answer(_ file: WritableFile, flags: Int32, _ reply: Reply<OpenAnswer>) {
        let number = context.handles.insert(
            OpenFile(inode: file.inode, flags: flags, reader: nil))
        // The kernel's pages are right: it saw every write.
        let isTaken = reply.succeed(OpenAnswer(handle: number, keepCache: true))
        if !isTaken { abandon(number) }
        context.files.leave(file)
    }

    /// A handle that nobody got, as the application was interrupted: nobody will close it.
    func abandon(_ number: HandleNumber) {
        guard let open = context.handles.remove(number) else { return }
        open.close()
        closed(open)
    }

    /// A handle was closed.
    func closed(_ open: OpenFile) {
        guard let file = context.files.enter(open.inode) else { return }
        defer { context.files.leave(file) }
        guard context.handles.count(of: open.inode) == 0 else { return }
        let (isRemoved, hasContent, isDirty) = file.locked {
            ($0.isRemoved, $0.hasNewContent, $0.isDirty)
        }
        if isRemoved {
            lastClosed(file)
        } else if hasContent {
            if file.locked({ $0.failure != nil && !context.configuration.isWriteBack }) {
                // close(2) said that it failed: the bytes stay here until somebody decides.
                keepFailed(file)
            } else {
                // Written through a mapping after the last close(2), or to be published behind.
                publishBehind(file)
            }
        } else if isDirty {
            gather(file)
        }
    }

    /// Keeps what could not be published on the local disk until somebody decides.
    func keepFailed(
        _ file: WritableFile, then: @escaping @Sendable () -> Void = {}
    ) {
        _ = context.files.enter(file.inode)
        context.scheduler.run { [context] in
            let (key, failure) = file.locked { ($0.key, $0.failure) }
            if let problem = file.keep(problem: failure?.reason) {
                context.report(problem, "keep", key)
            } else {
                context.logger.error(
                    "\(key) is not in the bucket, its bytes are kept: see 'pail pending'")
            }
            context.files.leave(file)
            then()
        }
    }

    // MARK: Behind

    /// Answers a close: published, or with write-back safe on the local disk and to be published.
    func flush(_ file: WritableFile, then: @escaping @Sendable (WriteFailure?) -> Void) {
        guard context.configuration.isWriteBack else {
            file.publish(attributes: false, then: then)
            return
        }
        guard file.locked({ $0.hasNewContent && !$0.isRemoved }) else { return then(nil) }
        // Parts that are only in an unfinished upload would be lost with it: no promise without them.
        guard !file.locked({ $0.extents.contains([.sent]) }) else {
            file.publish(attributes: false, then: then)
            return
        }
        context.scheduler.run { [self] in
            let failure = file.keep()
            if failure == nil { publishBehind(file) }
            then(failure)
        }
    }

    /// Publishes a file in a moment, and again later where that may help.
    func publishBehind(_ file: WritableFile) {
        publishBehind(file, after: context.configuration.writeBackDelay)
    }

    private func publishBehind(_ file: WritableFile, after delay: Duration) {
        let isFirst = file.locked { state in
            defer { state.isGathering = true }
            return !state.isGathering
        }
        guard isFirst else { return }
        _ = context.files.enter(file.inode)
        context.scheduler.after(delay) { [self] in
            file.locked { $0.isGathering = false }
            file.publish(attributes: true) { [self] failure in
                if let failure, file.locked({ $0.isDirty }) {
                    if failure.cause?.isWorthTryingLater == true {
                        publishBehind(file, after: min(max(delay, .seconds(1)) * 2, .seconds(60)))
                    } else {
                        keepFailed(file)
                    }
                }
                context.files.leave(file)
            }
        }
    }

    /// Publishes everything: at unmount, or when asked to. `then` gets the failures.
    func flushAll(then: @escaping @Sendable ([WriteFailure]) -> Void) {
        keeper.flush { [self] in
            deleter.flush { [self] in
                let files = context.files.all.filter { $0.locked { $0.isDirty } }
                let failures = SendableBox<[WriteFailure]>([])
                let left = SendableBox(files.count)
                guard !files.isEmpty else { return then([]) }
                for file in files {
                    let end: @Sendable () -> Void = {
                        let isLast = left.update { left in
                            left -= 1
                            return left == 0
                        }
                        if isLast { then(failures.value) }
                    }
                    file.publish(attributes: true) { [self] failure in
                        guard let failure else { return end() }
                        failures.update { $0.append(failure) }
                        keepFailed(file, then: end)
                    }
                }
            }
        }
    }
}
