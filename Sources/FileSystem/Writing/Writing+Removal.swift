// unlink(2) and rmdir(2).

import Operations
import S3

extension Writing {
    func unlink(_ parent: InodeNumber, _ name: [UInt8], _ reply: Reply<Void>) {
        resolve(parent, name) { [self] result in
            switch result {
            case .failure(let errno): reply.fail(errno)
            case .success(.none): reply.fail(.noEntry)
            case .success(.directory): reply.fail(.isDirectory)
            case .success(.file(let inode, let version)),
                .success(.symbolicLink(let inode, let version)):
                if let file = context.files.enter(inode) {
                    unlink(file, parent, name, reply)
                } else if let version, context.handles.count(of: inode) > 0 {
                    unlinkOpen(inode, version, parent, name, reply)
                } else if let key = version?.key ?? namespace.key(of: inode) {
                    delete(key, parent, name, reply)
                } else {
                    reply.fail(.stale)
                }
            }
        }
    }

    /// Deletes the object, then the name.
    private func delete(
        _ key: ObjectKey, _ parent: InodeNumber, _ name: [UInt8], _ reply: Reply<Void>
    ) {
        deleter.delete(
            key,
            answered: { [self] failure in
                if failure == nil {
                    namespace.remove(parent: parent, name: name)
                    keeper.lostName(parent)
                }
                reply.answer(failure)
            },
            settled: { [self] failure in
                settle(parent, name, failure)
            })
    }

    /// The bucket has carried out a removal that was answered before, or has not.
    func settle(_ parent: InodeNumber, _ name: [UInt8], _ failure: WriteFailure?) {
        if failure == nil {
            namespace.settleRemoval(parent: parent, name: name)
        } else {
            namespace.withdrawRemoval(parent: parent, name: name)
        }
    }

    /// A file that is being changed: what is open lives on, nothing of it is published any more.
    private func unlink(
        _ file: WritableFile, _ parent: InodeNumber, _ name: [UInt8], _ reply: Reply<Void>
    ) {
        let end: @Sendable (WriteFailure?, @Sendable () -> Void) -> Void = {
            [self] failure, leave in
            leave()
            reply.answer(failure)
            context.files.leave(file)
        }
        file.gate.enter { [self] leave in
            let isOpen = context.handles.count(of: file.inode) > 0
            // Whoever has it open needs the bytes that are only in an unfinished upload.
            guard isOpen, file.locked({ $0.upload != nil && $0.extents.contains([.sent]) }) else {
                return file.bringHome { [self] in
                    remove(file, parent, name) { end($0, leave) }
                }
            }
            file.publishInside(attributes: false) { [self] failure in
                if let failure { return end(failure, leave) }
                remove(file, parent, name) { end($0, leave) }
            }
        }
    }

    /// Removes a file inside its gate.
    private func remove(
        _ file: WritableFile, _ parent: InodeNumber, _ name: [UInt8],
        then: @escaping @Sendable (WriteFailure?) -> Void
    ) {
        let (published, needsBase) = file.locked { ($0.published, $0.needsBase) }
        let isOpen = context.handles.count(of: file.inode) > 0
        // The stream is given up only when nothing can refuse the removal any more.
        let removed: @Sendable () -> Void = { [self] in
            file.locked { $0.isRemoved = true }
            file.forgetRecord()
            namespace.remove(parent: parent, name: name)
        }
        guard let published, !(isOpen && needsBase) else {
            removed()
            if let published {
                deleteAtEnd(file, published, parent, name)
            } else {
                namespace.settle(parent: parent, name: name)
            }
            keeper.lostName(parent)
            return file.dropStream { then(nil) }
        }
        deleter.delete(
            published.key,
            answered: { [self] failure in
                if let failure { return then(failure) }
                removed()
                let replaced = file.locked { state in
                    defer { state.replacedRecord = nil }
                    return state.replacedRecord
                }
                if let replaced { context.records.ended(replaced) }
                keeper.lostName(parent)
                file.dropStream { then(nil) }
            },
            settled: { [self] failure in
                settle(parent, name, failure)
            })
    }

    /// The object of a removed file goes with the file's last handle, or at the next mount.
    private func deleteAtEnd(
        _ file: WritableFile, _ version: ObjectVersion, _ parent: InodeNumber, _ name: [UInt8]
    ) {
        let id = context.records.put(
            .deleteVersion(key: version.key.bytes, etag: version.etag.text))
        context.removed.add(
            RemovedObject(version: version, journalID: id, parent: parent, name: name))
        file.locked { $0.deletesAtEnd = true }
    }

    /// A file that is open for reading: its readers need the object, which is deleted with the last
    /// of them. The journal remembers that.
    private func unlinkOpen(
        _ inode: InodeNumber, _ version: ObjectVersion, _ parent: InodeNumber, _ name: [UInt8],
        _ reply: Reply<Void>
    ) {
        enter(inode) { [self] result in
            switch result {
            case .failure(let errno): reply.fail(errno)
            case .success(let file):
                unlink(file, parent, name, reply)
            }
        }
    }

    /// The last handle of a removed file was closed.
    func lastClosed(_ file: WritableFile) {
        let version = file.locked { state in
            defer { state.deletesAtEnd = false }
            return state.deletesAtEnd ? state.published : nil
        }
        // Where another file has the name by now, the object is that one's.
        guard let version, let object = context.removed.take(version.key, version.etag)
        else { return }
        let key = version.key
        // Whoever makes the name again now writes after the deletion, not before it.
        deleter.hold(key)
        let end: @Sendable (StoreError?) -> Void = { [self] error in
            if let error {
                // Its record stays: the next mount deletes it.
                context.report(WriteFailure(error), "unlink", key)
            } else {
                if let id = object.journalID { context.records.ended(id) }
                namespace.settleRemoval(parent: object.parent, name: object.name)
            }
            deleter.release(key)
        }
        store.head(key) { [self] result in
            switch result {
            case .success(let head) where head.etag == version.etag:
                store.delete(key) { result in
                    if case .failure(let error) = result { end(error) } else { end(nil) }
                }
            case .failure(let error) where error.kind != .notFound: end(error)
            default: end(nil)
            }
        }
    }

    // MARK: Directories

    func removeDirectory(_ parent: InodeNumber, _ name: [UInt8], _ reply: Reply<Void>) {
        resolve(parent, name, pinning: true) { [self] result in
            guard case .success(let occupant) = result, let inode = occupant.inode else {
                if case .failure(let errno) = result {
                    reply.fail(errno)
                } else {
                    reply.fail(.noEntry)
                }
                return
            }
            guard occupant.isDirectory else {
                namespace.unpin(inode)
                reply.fail(.notDirectory)
                return
            }
            withEmpty(inode) { [self] result in
                switch result {
                case .failure(let errno): reply.fail(errno)
                case .success(let marker): remove(inode, marker, parent, name, reply)
                }
                namespace.unpin(inode)
            }
        }
    }

    private func remove(
        _ inode: InodeNumber, _ marker: ObjectKey?, _ parent: InodeNumber, _ name: [UInt8],
        _ reply: Reply<Void>
    ) {
        keeper.forget(inode)
        let end: @Sendable () -> Void = { [self] in
            namespace.remove(parent: parent, name: name)
            namespace.settleRemoval(parent: parent, name: name)
            keeper.lostName(parent)
            reply.succeed()
        }
        guard let marker else { return end() }
        store.delete(marker) { [self] result in
            switch result {
            case .success: end()
            case .failure(let error):
                let failure = WriteFailure(error)
                context.report(failure, "rmdir", marker)
                reply.answer(failure)
            }
        }
    }

    /// Makes sure on the server that a directory is empty; gives its marker's key if it has one.
    func withEmpty(
        _ inode: InodeNumber,
        then: @escaping @Sendable (Result<ObjectKey?, Errno>) -> Void
    ) {
        guard let contents = namespace.contents(of: inode), let prefix = namespace.key(of: inode)
        else { return then(.failure(.stale)) }
        guard !contents.hasLocalNames else { return then(.failure(.notEmpty)) }
        deleter.flush { [self] in
            let isExact = context.removed.isEmpty
            let request = ListRequest(prefix: prefix.bytes, maxKeys: isExact ? 2 : 1000)
            store.list(request) { [self] result in
                switch result {
                case .failure(let error):
                    let failure = WriteFailure(error)
                    context.report(failure, "rmdir", prefix)
                    then(.failure(failure.errno))
                case .success(let page):
                    // Objects of removed files that are still open are in no directory.
                    let others = page.objects.contains {
                        $0.key != prefix && !context.removed.contains($0.key)
                    }
                    guard !others, page.commonPrefixes.isEmpty else {
                        return then(.failure(.notEmpty))
                    }
                    let isMarked = page.objects.contains { $0.key == prefix }
                    then(.success(isMarked ? prefix : nil))
                }
            }
        }
    }
}
