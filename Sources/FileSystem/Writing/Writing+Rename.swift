// rename(2) of files: a conditional copy, then the deletion of the old key. A file of which nothing
// is in the bucket only changes its name. Directories are in DirectoryRename.swift.

import Operations
import S3

extension Writing {
    /// A rename whose names are resolved.
    struct Renaming: Sendable {
        var parent: InodeNumber
        var name: [UInt8]
        var newParent: InodeNumber
        var newName: [UInt8]
        /// The key of the new name.
        var key: ObjectKey
        var target: Occupant
        var noReplace: Bool
    }

    func rename(
        _ parent: InodeNumber, _ name: [UInt8], to newParent: InodeNumber, _ newName: [UInt8],
        flags: RenameFlags, _ reply: Reply<Void>
    ) {
        guard flags.isSubset(of: [.noReplace]) else {
            // An exchange cannot be had without a moment at which a name is missing.
            reply.fail(.invalid)
            return
        }
        resolve(parent, name, pinning: true) { [self] source in
            resolve(newParent, newName, pinning: true) { [self] target in
                let inodes = [source, target].compactMap { try? $0.get().inode }
                let reply = Reply<Void> { [namespace] result in
                    for inode in inodes { namespace.unpin(inode) }
                    reply.answer(result)
                }
                switch (source, target) {
                case (.failure(let errno), _), (_, .failure(let errno)): reply.fail(errno)
                case (.success(let source), .success(let target)):
                    let key = namespace.key(
                        parent: newParent, name: newName, directory: source.isDirectory)
                    guard case .success(let key) = key else {
                        if case .failure(let errno) = key { reply.fail(errno) }
                        return
                    }
                    let renaming = Renaming(
                        parent: parent, name: name, newParent: newParent, newName: newName,
                        key: key, target: target, noReplace: flags.contains(.noReplace))
                    rename(source, renaming, reply)
                }
            }
        }
    }

    private func rename(_ source: Occupant, _ renaming: Renaming, _ reply: Reply<Void>) {
        guard let inode = source.inode else {
            reply.fail(.noEntry)
            return
        }
        if renaming.noReplace, renaming.target != .none {
            reply.fail(.exists)
            return
        }
        if renaming.target.inode == inode {
            reply.succeed()
            return
        }
        switch (source, renaming.target) {
        case (.directory, .file), (.directory, .symbolicLink): reply.fail(.notDirectory)
        case (.directory, .none), (.directory, .directory):
            DirectoryRename(self, inode, renaming).start { reply.answer($0) }
        case (_, .directory): reply.fail(.isDirectory)
        default:
            enter(inode) { [self] result in
                switch result {
                case .failure(let errno): reply.fail(errno)
                case .success(let file):
                    inGates(file, renaming.target.inode) { [self] target, leave in
                        let go: @Sendable () -> Void = { [self] in
                            renameInside(file, target, renaming) { [self] failure in
                                leave()
                                reply.answer(failure)
                                context.files.leave(file)
                            }
                        }
                        if let target { target.bringHome(then: go) } else { go() }
                    }
                }
            }
        }
    }

    /// Enters the gates of a file and of the one it replaces, if that is being changed: what is
    /// published of it must not arrive after the copy. By inode, so that two renames never wait for
    /// each other.
    private func inGates(
        _ file: WritableFile, _ other: InodeNumber?,
        then: @escaping @Sendable (WritableFile?, @escaping @Sendable () -> Void) -> Void
    ) {
        guard let other, context.files.find(other) != nil || context.handles.count(of: other) > 0
        else { return file.gate.enter { leave in then(nil, leave) } }
        enter(other) { [self] result in
            // What is gone already needs no keeping.
            guard case .success(let other) = result else {
                return file.gate.enter { leave in then(nil, leave) }
            }
            inBothGates(file, other, then: then)
        }
    }

    private func inBothGates(
        _ file: WritableFile, _ other: WritableFile,
        then: @escaping @Sendable (WritableFile?, @escaping @Sendable () -> Void) -> Void
    ) {
        let (first, second) = file.inode < other.inode ? (file, other) : (other, file)
        first.gate.enter { [context] leaveFirst in
            second.gate.enter { leaveSecond in
                then(other) {
                    leaveSecond()
                    leaveFirst()
                    context.files.leave(other)
                }
            }
        }
    }

    /// Renames a file inside its gate, and inside that of the file it replaces.
    private func renameInside(
        _ file: WritableFile, _ target: WritableFile?, _ renaming: Renaming,
        then: @escaping @Sendable (WriteFailure?) -> Void
    ) {
        let end: @Sendable (WriteFailure?) -> Void = { failure in
            guard failure == nil, let target else { return then(failure) }
            // Nothing of what was replaced is published any more; its handles live on.
            target.forgetRecord()
            target.dropStream { then(nil) }
        }
        let (isUnpublished, hasStream) = file.locked { ($0.published == nil, $0.upload != nil) }
        if isUnpublished, !hasStream { return end(renameUnpublished(file, target, renaming)) }
        // What was written so far goes with the old name's object.
        file.publishInside(attributes: false) { [self] failure in
            if let failure { return then(failure) }
            let removed = context.removed.take(renaming.key)
            copy(file, renaming) { [self] failure in
                replaced(removed, isReplaced: failure == nil)
                end(failure)
            }
        }
    }

    /// Nothing of the file is in the bucket: only its name changes.
    private func renameUnpublished(
        _ file: WritableFile, _ target: WritableFile?, _ renaming: Renaming
    ) -> WriteFailure? {
        let removed = context.removed.take(renaming.key)
        // The object that has the new name is this file's to replace, or to delete.
        let replaced =
            target?.locked { $0.published } ?? renaming.target.version ?? removed?.version
        let old = file.locked { state in
            let old = (state.key, state.isExclusive, state.headers?.contentType)
            state.key = renaming.key
            state.isExclusive = renaming.noReplace && replaced == nil
            state.published = replaced
            state.replacedRecord = removed?.journalID
            // The type goes by the name.
            state.headers?.contentType = nil
            return old
        }
        // First the record: a crash in between finds either file under the new name.
        let isKept = file.locked { $0.journalID != nil }
        let problem = (isKept ? file.keep() : nil) ?? move(renaming)
        guard let problem else {
            namespace.settleRemoval(parent: renaming.parent, name: renaming.name)
            keeper.lostName(renaming.parent)
            return nil
        }
        file.locked { state in
            state.key = old.0
            state.isExclusive = old.1
            state.headers?.contentType = old.2
            state.published = nil
            state.replacedRecord = nil
        }
        if let removed { context.removed.add(removed) }
        if isKept { _ = file.keep() }
        return problem
    }

    private func copy(
        _ file: WritableFile, _ renaming: Renaming,
        then: @escaping @Sendable (WriteFailure?) -> Void
    ) {
        withNewHeaders(file, renaming) { [self] result in
            switch result {
            case .failure(let failure): then(failure)
            case .success(let headers):
                guard let version = file.locked({ $0.published }) else { return then(nil) }
                let condition: WriteCondition = renaming.noReplace ? .absent : .none
                let snapshot = file.locked {
                    PublishSnapshot($0, headers: headers ?? $0.headers ?? ObjectHeaders())
                }
                Copier(context: context).copy(
                    version, to: renaming.key, headers: headers,
                    condition: condition
                ) { [self] result in
                    switch result {
                    case .failure(let failure):
                        if failure.cause?.saysChanged == true {
                            namespace.objectChanged(file.inode)
                        }
                        context.report(failure, "rename", version.key)
                        then(failure)
                    case .success(let written):
                        copied(file, version, written, snapshot, headers != nil, renaming, then)
                    }
                }
            }
        }
    }

    /// The headers of the copy: nil where it can keep those of the old object.
    private func withNewHeaders(
        _ file: WritableFile, _ renaming: Renaming,
        then: @escaping @Sendable (Result<ObjectHeaders?, WriteFailure>) -> Void
    ) {
        let configuration = context.configuration
        let (oldKey, hasNewAttributes) = file.locked { ($0.key, $0.hasNewAttributes) }
        let oldType = configuration.contentType(oldKey)
        let newType = configuration.contentType(renaming.key)
        guard hasNewAttributes || oldType != newType else { return then(.success(nil)) }
        file.headers { result in
            then(
                result.map { headers in
                    var headers = headers
                    // A type that came from the old name goes with it.
                    if headers.contentType == nil || headers.contentType == oldType {
                        headers.contentType = newType
                    }
                    return headers
                })
        }
    }

    private func copied(
        _ file: WritableFile, _ old: ObjectVersion, _ written: WrittenObject,
        _ snapshot: PublishSnapshot, _ hasNewHeaders: Bool, _ renaming: Renaming,
        _ then: @escaping @Sendable (WriteFailure?) -> Void
    ) {
        if let failure = move(renaming) { return then(failure) }
        let version = ObjectVersion(
            key: renaming.key, etag: written.etag, size: old.size,
            modified: written.modified ?? context.time, storageClass: old.storageClass)
        file.locked { state in
            if state.base == old { state.base = version }
            state.published = version
            state.key = renaming.key
            if hasNewHeaders {
                state.headers = snapshot.headers
                state.publishedAttributes = max(
                    state.publishedAttributes, snapshot.attributeChange)
            }
        }
        if !hasNewHeaders {
            // The same bytes may have been under this key before, with other attributes.
            let record = file.locked { $0.record }
            let question = AttributeQuestion(key: version.key, etag: version.etag)
            context.attributes.note([
                question: ObjectAttributes(
                    permissions: record.permissions, uid: record.uid, gid: record.gid,
                    modified: record.modified, changed: record.changed,
                    isSymbolicLink: record.kind == .symbolicLink)
            ])
        }
        context.wrote(version, hasNewHeaders ? snapshot.headers : nil, inode: file.inode)
        deleter.delete(
            old.key,
            answered: { [self] failure in
                if failure == nil { keeper.lostName(renaming.parent) }
                then(failure)
            },
            settled: { [self] failure in
                // Where the old object could not be deleted both names show: none is hidden.
                settle(renaming.parent, renaming.name, failure)
            })
    }

    /// Moves the name; what had the new name is removed, its handles live on.
    func move(_ renaming: Renaming) -> WriteFailure? {
        let moved = namespace.move(
            parent: renaming.parent, name: renaming.name, newParent: renaming.newParent,
            newName: renaming.newName)
        switch moved {
        case .failure(let errno):
            return WriteFailure(errno: errno, reason: "the name was changed meanwhile")
        case .success(let moved):
            keeper.forget(renaming.newParent)
            if let replaced = moved.replaced, let file = context.files.enter(replaced) {
                file.locked { $0.isRemoved = true }
                file.forgetRecord()
                context.files.leave(file)
            }
            return nil
        }
    }
}

extension Occupant {
    /// The version in the bucket, where there is one.
    fileprivate var version: ObjectVersion? {
        switch self {
        case .file(_, let version), .symbolicLink(_, let version): version
        case .none, .directory: nil
        }
    }
}

extension WritingContext {
    /// A copy's condition on its target, where the server looks at it; else the name was looked up.
    func copyCondition(_ condition: WriteCondition) -> WriteCondition {
        store.capabilities.conditionalCopy == true ? condition : .none
    }
}
