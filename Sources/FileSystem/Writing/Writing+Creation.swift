// create(2), mknod(2), mkdir(2), symlink(2).

import Glibc
import Operations
import S3

extension Writing {
    // MARK: Files

    func create(
        _ parent: InodeNumber, _ name: [UInt8], permissions: UInt16, flags: Int32, _ caller: Caller,
        _ reply: Reply<CreateAnswer>
    ) {
        withFreeName(parent, name) { [self] result in
            switch result {
            case .failure(let errno): reply.fail(errno)
            case .success(.free(let key)):
                let isExclusive = flags & O_EXCL != 0
                guard
                    let (file, attributes) = make(
                        parent, name, key, permissions, caller, isExclusive: isExclusive)
                else {
                    reply.fail(.noEntry)
                    return
                }
                answer(file, attributes, flags, reply)
            case .success(.taken(let occupant)):
                openExisting(occupant, parent, name, flags, reply)
            }
        }
    }

    /// mknod(2) of a regular file: an empty object, at once.
    func makeNode(
        _ parent: InodeNumber, _ name: [UInt8], permissions: UInt16, _ caller: Caller,
        _ reply: Reply<EntryAnswer>
    ) {
        withFreeName(parent, name) { [self] result in
            switch result {
            case .failure(let errno): reply.fail(errno)
            case .success(.taken): reply.fail(.exists)
            case .success(.free(let key)):
                guard
                    let (file, attributes) = make(
                        parent, name, key, permissions, caller, isExclusive: true)
                else {
                    reply.fail(.noEntry)
                    return
                }
                file.publish(attributes: true) { [self] failure in
                    if let failure {
                        forget(file, parent, name)
                        namespace.forget(inode: file.inode, count: 1)
                        reply.fail(failure.errno)
                    } else {
                        answer(attributes.inode, reply)
                    }
                    context.files.leave(file)
                }
            }
        }
    }

    /// A new file with its inode (counting a lookup), entered once.
    private func make(
        _ parent: InodeNumber, _ name: [UInt8], _ key: ObjectKey, _ permissions: UInt16,
        _ caller: Caller, isExclusive: Bool
    ) -> (WritableFile, FileAttributes)? {
        let record = newRecord(.file, permissions, caller)
        guard
            let attributes = namespace.add(
                parent: parent, name: name, record: record, holding: true)
        else { return nil }
        // The object of a removed file that is still open may have the key: it is this file's to
        // replace or delete from now on.
        let removed = context.removed.take(key)
        let state = FileState(
            key: key, published: removed?.version, isExclusive: isExclusive && removed == nil,
            replacedRecord: removed?.journalID, extents: ExtentMap(), record: record,
            headers: ObjectHeaders(), contentChange: 1)
        let file = context.files.enter(attributes.inode) {
            WritableFile(inode: attributes.inode, context: context, state: state)
        }
        return (file, attributes)
    }

    private func answer(
        _ file: WritableFile, _ attributes: FileAttributes, _ flags: Int32,
        _ reply: Reply<CreateAnswer>
    ) {
        let number = context.handles.insert(
            OpenFile(inode: file.inode, flags: flags, reader: nil))
        let isTaken = reply.succeed(
            CreateAnswer(
                entry: entry(attributes), open: OpenAnswer(handle: number, keepCache: true)))
        if !isTaken {
            // Interrupted: the kernel never saw the inode, and will not close the handle.
            abandon(number)
            namespace.forget(inode: file.inode, count: 1)
        }
        context.files.leave(file)
    }

    /// The name exists by now: without O_EXCL it is opened.
    private func openExisting(
        _ occupant: Occupant, _ parent: InodeNumber, _ name: [UInt8], _ flags: Int32,
        _ reply: Reply<CreateAnswer>
    ) {
        guard flags & O_EXCL == 0 else {
            reply.fail(.exists)
            return
        }
        guard case .file(let inode, _) = occupant else {
            reply.fail(occupant.isDirectory ? .isDirectory : .tooManySymbolicLinks)
            return
        }
        let lookup = Reply<EntryAnswer> { [self] result in
            guard case .success(let entry) = result, entry.attributes?.inode == inode else {
                reply.fail(.stale)
                return
            }
            let opening = Reply<OpenAnswer> { [self] result in
                switch result {
                case .success(let open): reply.succeed(CreateAnswer(entry: entry, open: open))
                case .failure(let errno):
                    namespace.forget(inode: inode, count: 1)
                    reply.fail(errno)
                }
            }
            open(inode, flags: flags, reply: opening)
        }
        namespace.lookup(parent: parent, name: name, reply: lookup)
    }

    /// Takes a file back that never came to be.
    func forget(_ file: WritableFile, _ parent: InodeNumber, _ name: [UInt8]) {
        file.locked { $0.isRemoved = true }
        namespace.withdraw(parent: parent, name: name)
    }

    // MARK: Directories

    func makeDirectory(
        _ parent: InodeNumber, _ name: [UInt8], permissions: UInt16, _ caller: Caller,
        _ reply: Reply<EntryAnswer>
    ) {
        withFreeName(parent, name, directory: true) { [self] result in
            switch result {
            case .failure(let errno): reply.fail(errno)
            case .success(.taken): reply.fail(.exists)
            case .success(.free(let key)):
                let record = newRecord(.directory, permissions, caller)
                let request = PutRequest(
                    key: key, body: nil, headers: Self.markerHeaders(record), condition: .absent)
                put(request, "mkdir") { [self] result in
                    finish(result, parent, name, record, key, request.headers, reply)
                }
            }
        }
    }

    /// The headers of a directory's marker object, as s3fs writes them.
    static func markerHeaders(_ record: LocalRecord) -> ObjectHeaders {
        ObjectHeaders(
            contentType: "application/x-directory",
            metadata: AttributeHeaders.metadata(
                kind: .directory, permissions: record.permissions, uid: record.uid, gid: record.gid,
                modified: record.modified))
    }

    // MARK: Symbolic links

    func makeSymbolicLink(
        _ parent: InodeNumber, _ name: [UInt8], target: [UInt8], _ caller: Caller,
        _ reply: Reply<EntryAnswer>
    ) {
        withFreeName(parent, name) { [self] result in
            switch result {
            case .failure(let errno): reply.fail(errno)
            case .success(.taken): reply.fail(.exists)
            case .success(.free(let key)):
                let record = newRecord(.symbolicLink, 0o777, caller, size: Int64(target.count))
                let headers = ObjectHeaders(
                    metadata: AttributeHeaders.metadata(
                        kind: .symbolicLink, permissions: 0o777, uid: caller.uid, gid: caller.gid,
                        modified: record.modified))
                let removed = context.removed.take(key)
                let request = PutRequest(
                    key: key, body: BytesBody(target), headers: headers,
                    condition: removed == nil ? .absent : .none)
                put(request, "symlink") { [self] result in
                    replaced(removed, isReplaced: (try? result.get()) != nil)
                    finish(result, parent, name, record, key, headers, reply)
                }
            }
        }
    }

    // MARK: Common steps

    /// An object without staged bytes was put (or was not): shows it and answers.
    private func finish(
        _ result: Result<WrittenObject, WriteFailure>, _ parent: InodeNumber, _ name: [UInt8],
        _ record: LocalRecord, _ key: ObjectKey, _ headers: ObjectHeaders,
        _ reply: Reply<EntryAnswer>
    ) {
        switch result {
        case .failure(let failure): reply.fail(failure.errno)
        case .success(let written):
            guard
                let attributes = namespace.add(
                    parent: parent, name: name, record: record, holding: true)
            else {
                reply.fail(.noEntry)
                return
            }
            if record.kind == .directory {
                namespace.settle(parent: parent, name: name)
            } else {
                let version = ObjectVersion(
                    key: key, etag: written.etag, size: record.size,
                    modified: written.modified ?? context.time)
                context.wrote(version, headers, inode: attributes.inode)
            }
            answer(attributes.inode, reply)
        }
    }

    /// Puts a small object that nobody has open.
    func put(
        _ request: PutRequest, _ operation: String,
        then: @escaping @Sendable (Result<WrittenObject, WriteFailure>) -> Void
    ) {
        let isHonoured = store.capabilities.conditionalPut != false
        context.checked(request.condition, request.key, isHonoured: isHonoured) { [self] refusal in
            if let refusal { return then(.failure(refusal)) }
            store.put(request) { [context] result in
                let result = result.mapError {
                    WriteFailure($0, wantsAbsent: request.condition == .absent)
                }
                if case .failure(let failure) = result, failure.errno != .exists {
                    context.report(failure, operation, request.key)
                }
                then(result)
            }
        }
    }

    private func answer(_ inode: InodeNumber, _ reply: Reply<EntryAnswer>) {
        guard let attributes = namespace.attributes(of: inode) else {
            reply.fail(.stale)
            return
        }
        if !reply.succeed(entry(attributes)) { namespace.forget(inode: inode, count: 1) }
    }

    private func entry(_ attributes: FileAttributes) -> EntryAnswer {
        let timeout = namespace.configuration.timeToLive ?? .seconds(365 * 86400)
        return EntryAnswer(
            attributes: attributes, entryTimeout: timeout, attributesTimeout: timeout)
    }

    func newRecord(
        _ kind: FileAttributes.Kind, _ permissions: UInt16, _ caller: Caller, size: Int64 = 0
    ) -> LocalRecord {
        let time = context.time
        return LocalRecord(
            kind: kind, size: size, modified: time, changed: time,
            permissions: permissions & 0o7777,
            uid: caller.uid, gid: caller.gid)
    }

    /// What a removed object was taken for has come about, or has not.
    func replaced(_ removed: RemovedObject?, isReplaced: Bool) {
        guard let removed else { return }
        if !isReplaced {
            context.removed.add(removed)
        } else if let id = removed.journalID {
            context.records.ended(id)
        }
    }

    enum NameState {
        case free(ObjectKey)
        case taken(Occupant)
    }

    /// Whether a name is free, and the key it stands for.
    func withFreeName(
        _ parent: InodeNumber, _ name: [UInt8], directory: Bool = false,
        then: @escaping @Sendable (Result<NameState, Errno>) -> Void
    ) {
        resolve(parent, name) { [self] result in
            switch result {
            case .failure(let errno): then(.failure(errno))
            case .success(.none):
                let key = namespace.key(parent: parent, name: name, directory: directory)
                then(key.map { .free($0) })
            case .success(let occupant): then(.success(.taken(occupant)))
            }
        }
    }
}

extension Occupant {
    var isDirectory: Bool { if case .directory = self { true } else { false } }
}

/// A body of a few bytes in memory.
final class BytesBody: UploadBody {
    private let bytes: [UInt8]
    var size: Int64 { Int64(bytes.count) }

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func read(at offset: Int64, into memory: UnsafeMutableRawBufferPointer) -> Bool {
        let end = Int(offset) + memory.count
        guard end <= bytes.count else { return false }
        unsafe memory.copyBytes(from: bytes[Int(offset)..<end])
        return true
    }
}
