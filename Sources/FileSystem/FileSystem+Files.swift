// Opening, reading, writing and closing files.

import Buffers
import CPlatform
import Glibc
public import Operations
import S3

extension FileSystem {
    // MARK: Open

    public func open(inode: InodeNumber, flags: Int32, reply: Reply<OpenAnswer>) {
        if flags & O_ACCMODE != O_RDONLY || flags & O_TRUNC != 0 {
            guard let writing else {
                reply.fail(.readOnly)
                return
            }
            writing.open(inode, flags: flags, reply: reply)
            return
        }
        if let writing, let file = writing.context.files.enter(inode) {
            writing.answer(file, flags: flags, reply)
            return
        }
        withVersion(of: inode, reply) { [self] version in open(inode, version, flags, reply) }
    }

    /// The version that a file shows, asked for where memory has none.
    func withVersion(
        of inode: InodeNumber, _ reply: Reply<OpenAnswer>,
        then: @escaping @Sendable (ObjectVersion) -> Void
    ) {
        if let version = namespace.version(of: inode) { return then(version) }
        namespace.refresh(inode) { result in
            switch result {
            case .success(let version?): then(version)
            case .success(nil): reply.fail(.stale)
            case .failure(let error): reply.fail(Failure(error).errno)
            }
        }
    }

    private func open(
        _ inode: InodeNumber, _ version: ObjectVersion, _ flags: Int32, _ reply: Reply<OpenAnswer>
    ) {
        let content = context.contents.open(version)
        siblings.opened(inode)
        let opening = PendingOpen(
            context: context, content: content,
            onHead: { [self] head in namespace.objectSeen(head, inode: inode) },
            then: { [self] error in
                if let error {
                    refuse(inode, content, error, reply)
                } else {
                    answer(inode, content, flags, reply)
                }
            })
        opening.start()
    }

    private func answer(
        _ inode: InodeNumber, _ content: ObjectContent, _ flags: Int32, _ reply: Reply<OpenAnswer>
    ) {
        let reader = FileHandle(
            inode: inode, content: content, context: context,
            onFailure: { [weak self] error in self?.readFailed(inode, content, error) })
        let number = handles.insert(OpenFile(inode: inode, flags: flags, reader: reader))
        let isUnchanged = opened.note(inode, content.version)
        let isTaken = reply.succeed(OpenAnswer(handle: number, keepCache: isUnchanged))
        guard !isTaken else { return }
        // The application was interrupted and will not close what it did not get; nor did the kernel
        // hear of this version, so its pages may be of an older one.
        opened.forget(inode)
        close(number)
    }

    private func refuse(
        _ inode: InodeNumber, _ content: ObjectContent, _ error: StoreError,
        _ reply: Reply<OpenAnswer>
    ) {
        context.contents.close(content)
        if error.saysChanged {
            namespace.objectChanged(inode)
            reply.fail(.stale)
        } else {
            failures.report("open", content.version.key, error)
            reply.fail(Failure(error).errno)
        }
    }

    private func readFailed(_ inode: InodeNumber, _ content: ObjectContent, _ error: StoreError) {
        failures.report("read", content.version.key, error)
        if error.saysChanged { namespace.objectChanged(inode) }
    }

    // MARK: Read and write

    public func read(
        inode: InodeNumber, handle: HandleNumber, offset: Int64, size: Int,
        reply: Reply<ReadAnswer>
    ) {
        guard let open = handles.find(handle) else {
            reply.fail(.badHandle)
            return
        }
        if let file = writing?.context.files.find(open.inode) {
            file.read(offset: offset, size: size, by: open, reply: reply)
        } else if let reader = open.pinned {
            reader.read(offset: offset, size: size, reply: reply)
        } else {
            reply.fail(.badHandle)
        }
    }

    public func write(
        inode: InodeNumber, handle: HandleNumber, offset: Int64, bytes: UnsafeRawBufferPointer,
        reply: Reply<Int>
    ) {
        guard let open = handles.find(handle), let file = writing?.context.files.find(open.inode)
        else {
            reply.fail(.badHandle)
            return
        }
        unsafe file.write(bytes, at: offset, reply: reply)
    }

    public func allocate(
        inode: InodeNumber, handle: HandleNumber, mode: Int32, offset: Int64, length: Int64,
        reply: Reply<Void>
    ) {
        guard let open = handles.find(handle), open.mayWrite,
            let file = writing?.context.files.find(open.inode)
        else {
            reply.fail(.badHandle)
            return
        }
        guard offset >= 0, length > 0 else {
            reply.fail(.invalid)
            return
        }
        guard offset <= Int64.max - length else {
            reply.fail(.fileTooLarge)
            return
        }
        file.allocate(mode: mode, range: offset..<offset + length) { reply.answer($0) }
    }

    public func seek(
        inode: InodeNumber, handle: HandleNumber, offset: Int64, whence: Int32,
        reply: Reply<Int64>
    ) {
        guard let open = handles.find(handle) else {
            reply.fail(.badHandle)
            return
        }
        let forHole = whence == pail_SEEK_HOLE
        if let file = writing?.context.files.find(open.inode) {
            let found = file.seek(offset, forHole: forHole)
            reply.answer(found.map { .success($0) } ?? .failure(.noDeviceOrAddress))
            return
        }
        // An object has no holes but the one behind its end.
        let size = open.pinned?.content.version.size ?? 0
        guard offset >= 0, offset < size else {
            reply.fail(.noDeviceOrAddress)
            return
        }
        reply.succeed(forHole ? size : offset)
    }

    // MARK: Close

    public func flush(inode: InodeNumber, handle: HandleNumber, reply: Reply<Void>) {
        guard let open = handles.find(handle), open.mayWrite, let writing,
            let file = writing.context.files.find(open.inode)
        else {
            reply.succeed()
            return
        }
        writing.flush(file) { reply.answer($0) }
    }

    public func synchronize(
        inode: InodeNumber, handle: HandleNumber, dataOnly: Bool, reply: Reply<Void>
    ) {
        guard let open = handles.find(handle), let file = writing?.context.files.find(open.inode)
        else {
            reply.succeed()
            return
        }
        file.publish(attributes: !dataOnly) { reply.answer($0) }
    }

    public func release(inode: InodeNumber, handle: HandleNumber, reply: Reply<Void>) {
        close(handle)
        reply.succeed()
    }

    func close(_ number: HandleNumber) {
        guard let open = handles.remove(number) else { return }
        open.close()
        writing?.closed(open)
    }
}

extension Reply where Value == Void {
    /// Answers how a change ended.
    func answer(_ failure: WriteFailure?) {
        if let failure { fail(failure.errno) } else { succeed() }
    }
}
