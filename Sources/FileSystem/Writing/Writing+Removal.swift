// unlink(2) and rmdir(2).

import Operations
import S3

extension Writing {
    func unlink(_ parent: InodeNumber, _ name: [UInt8], _ reply: Reply<Void>) {
        namespace.resolve(parent: parent, name: name) { [self] result in
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
            file.dropStream { [self] in
                guard context.handles.count(of: file.inode) > 0 else {
                    return remove(file, isNeeded: false, parent, name) { end($0, leave) }
                }
                file.bringHome { [self] isHome in
                    remove(file, isNeeded: !isHome, parent, name) { end($0, leave) }
                }
            }
        }
    }

    /// Removes a file's name and, unless open handles need it, its object. Inside the file's gate.
    private func remove(
        _ file: WritableFile, isNeeded: Bool, _ parent: InodeNumber, _ name: [UInt8],
        then: @escaping @Sendable (WriteFailure?) -> Void
    ) {
        guard let published = file.locked({ $0.published }), !isNeeded else {
            let isPublished = file.locked { state in
                state.isRemoved = true
                return state.published != nil
            }
            file.forgetRecord()
            namespace.remove(parent: parent, name: name)
            if isPublished {
                context.linger(file, parent: parent, name: name)
            } else {
                namespace.settle(parent: parent, name: name)
            }
            keeper.lostName(parent)
            return then(nil)
        }
        deleter.delete(
            published.key,
            answered: { [self] failure in
                if failure == nil {
                    file.locked { $0.isRemoved = true }
                    file.forgetRecord()
                    namespace.remove(parent: parent, name: name)
                    keeper.lostName(parent)
                }
                then(failure)
            },
            settled: { [self] failure in
                settle(parent, name, failure)
            })
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
        guard let key = file.locked({ $0.deletesAtEnd ? $0.published?.key : nil }) else { return }
        _ = context.files.enter(file.inode)
        context.end(key) { [context] in context.files.leave(file) }
    }

    // MARK: Directories

    func removeDirectory(_ parent: InodeNumber, _ name: [UInt8], _ reply: Reply<Void>) {
        namespace.resolve(parent: parent, name: name) { [self] result in
            switch result {
            case .failure(let errno): reply.fail(errno)
            case .success(.none): reply.fail(.noEntry)
            case .success(.file), .success(.symbolicLink): reply.fail(.notDirectory)
            case .success(.directory(let inode)):
                withEmpty(inode) { [self] result in
                    switch result {
                    case .failure(let errno): reply.fail(errno)
                    case .success(let marker): remove(inode, marker, parent, name, reply)
                    }
                }
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
        let askServer: @Sendable () -> Void = { [self] in
            store.list(ListRequest(prefix: prefix.bytes, maxKeys: 2)) { [self] result in
                switch result {
                case .failure(let error):
                    let failure = WriteFailure(error)
                    context.report(failure, "rmdir", prefix)
                    then(.failure(failure.errno))
                case .success(let page):
                    let others = page.objects.contains { $0.key != prefix }
                    guard !others, page.commonPrefixes.isEmpty else {
                        return then(.failure(.notEmpty))
                    }
                    then(.success(page.objects.isEmpty ? nil : prefix))
                }
            }
        }
        deleter.flush { [context] in
            context.clear(where: { $0.bytes.starts(with: prefix.bytes) }, then: askServer)
        }
    }
}
