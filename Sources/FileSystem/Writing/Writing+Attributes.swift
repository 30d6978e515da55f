// chmod(2), chown(2), truncate(2), utimensat(2) and the attributes that S3 keeps in headers.
//
// Attributes of a published file are changed by copying the object onto itself. Programs set them
// one after the other, mostly right after close(2), and often rename the file next: so they are
// gathered for a moment, show at once, and go with whatever is published next.

import Glibc
import Operations
import S3
import Scheduling

extension Writing {
    func setAttributes(
        _ inode: InodeNumber, _ changes: AttributeChanges, isOpen: Bool,
        _ reply: Reply<AttributesAnswer>
    ) {
        guard let attributes = namespace.attributes(of: inode) else {
            // Asked for first: the kernel may know an inode that memory has to look up again.
            reply.fail(.stale)
            return
        }
        guard attributes.kind != .directory else {
            changeDirectory(inode, changes, reply)
            return
        }
        enter(inode) { [self] result in
            switch result {
            case .failure(let errno): reply.fail(errno)
            case .success(let file):
                resize(file, to: changes.size, isOpen: isOpen) { [self] failure in
                    if let failure {
                        reply.fail(failure.errno)
                    } else {
                        change(file, changes)
                        answer(inode, reply)
                    }
                    context.files.leave(file)
                }
            }
        }
    }

    private func resize(
        _ file: WritableFile, to size: Int64?, isOpen: Bool,
        then: @escaping @Sendable (WriteFailure?) -> Void
    ) {
        guard let size else { return then(nil) }
        file.truncate(to: size) { [self] failure in
            // truncate(2) of a file nobody has open to write has no close to wait for.
            guard failure == nil, !isOpen, context.handles.count(of: file.inode) == 0 else {
                return then(failure)
            }
            file.publish(attributes: true, then: then)
        }
    }

    /// Takes the changes of attributes, and publishes them later.
    private func change(_ file: WritableFile, _ changes: AttributeChanges) {
        let time = context.time
        let isChanged = file.locked { state in
            let old = state.record
            state.record.apply(changes, now: time)
            guard state.record != old else { return false }
            state.record.changed = time
            state.attributeChange += 1
            file.show(state)
            return true
        }
        if isChanged { gather(file) }
    }

    /// Publishes changed attributes in a moment, unless something else does before.
    func gather(_ file: WritableFile) {
        gather(file, after: context.configuration.gatherTime)
    }

    private func gather(_ file: WritableFile, after delay: Duration) {
        let isFirst = file.locked { state in
            defer { state.isGathering = true }
            return !state.isGathering
        }
        guard isFirst else { return }
        _ = context.files.enter(file.inode)
        context.scheduler.after(delay) { [self] in
            file.locked { $0.isGathering = false }
            // What is still open is published when it is closed.
            guard context.handles.count(of: file.inode) == 0 || !file.locked({ $0.hasNewContent })
            else { return context.files.leave(file) }
            file.publish(attributes: true) { [self] failure in
                gathered(file, failure, delay)
                context.files.leave(file)
            }
        }
    }

    private func gathered(_ file: WritableFile, _ failure: WriteFailure?, _ delay: Duration) {
        guard let failure else { return }
        if failure.cause?.isWorthTryingLater == true {
            gather(file, after: min(delay * 2, .seconds(60)))
        } else if file.locked({ $0.hasNewContent }) {
            keepFailed(file)
        } else {
            // Refused for good: what the bucket has is what is true.
            file.locked { $0.publishedAttributes = $0.attributeChange }
            if let place = namespace.parentAndName(of: file.inode) {
                namespace.withdraw(parent: place.parent, name: place.name)
            }
        }
    }

    private func answer(_ inode: InodeNumber, _ reply: Reply<AttributesAnswer>) {
        guard let attributes = namespace.attributes(of: inode) else {
            reply.fail(.stale)
            return
        }
        reply.succeed(
            AttributesAnswer(
                attributes: attributes,
                timeout: namespace.configuration.timeToLive ?? .seconds(365 * 86400)))
    }

    // MARK: Directories

    /// The attributes of a directory are those of its marker, which is put anew.
    private func changeDirectory(
        _ inode: InodeNumber, _ changes: AttributeChanges, _ reply: Reply<AttributesAnswer>
    ) {
        guard changes.size == nil else {
            reply.fail(.isDirectory)
            return
        }
        let time = context.time
        namespace.change(inode) { record in
            record.apply(changes, now: time)
            record.changed = time
        }
        if inode != NamespaceState.rootInode { keeper.changed(inode) }
        answer(inode, reply)
    }

    // MARK: Extended attributes

    /// Sets or removes (nil) an attribute that the object's headers carry.
    func setExtendedAttribute(
        _ inode: InodeNumber, _ name: [UInt8], _ value: [UInt8]?, flags: Int32,
        _ reply: Reply<Void>
    ) {
        let text = String(decoding: name, as: UTF8.self)
        guard let header = HeaderAttribute(text) else {
            // Others have no place in an object; `cp -a` and rsync -X take the answer well.
            reply.fail(.notSupported)
            return
        }
        guard value.map(HeaderAttribute.isValid) ?? true else {
            reply.fail(.invalid)
            return
        }
        enter(inode) { [self] result in
            switch result {
            case .failure(let errno): reply.fail(errno == .isDirectory ? .notSupported : errno)
            case .success(let file):
                file.headers { [self] result in
                    set(header, value, flags, of: file, result) { [self] errno in
                        if let errno { reply.fail(errno) } else { reply.succeed() }
                        context.files.leave(file)
                    }
                }
            }
        }
    }

    private func set(
        _ header: HeaderAttribute, _ value: [UInt8]?, _ flags: Int32, of file: WritableFile,
        _ headers: Result<ObjectHeaders, WriteFailure>, then: @escaping @Sendable (Errno?) -> Void
    ) {
        guard case .success(let headers) = headers else {
            if case .failure(let failure) = headers { then(failure.errno) }
            return
        }
        let old = header.value(in: headers)
        if value == nil, old == nil { return then(.noData) }
        if flags & 1 != 0, old != nil { return then(.exists) }
        if flags & 2 != 0, old == nil { return then(.noData) }
        let text = value.map { String(decoding: $0, as: UTF8.self) }
        let isFitting = file.locked { state in
            var changed = state.headers ?? headers
            header.set(text, in: &changed)
            let size = changed.metadata.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count }
            guard size <= UploadLimits.metadata else { return false }
            state.headers = changed
            state.attributeChange += 1
            return true
        }
        guard isFitting else { return then(.noSpace) }
        let isOpen = context.handles.count(of: file.inode) > 0
        if isOpen { return then(nil) }
        file.publish(attributes: true) { then($0?.errno) }
    }
}

extension LocalRecord {
    /// Takes what setattr changes, but for the size.
    mutating func apply(_ changes: AttributeChanges, now: Int64) {
        if let permissions = changes.permissions { self.permissions = permissions & 0o7777 }
        if let uid = changes.uid { self.uid = uid }
        if let gid = changes.gid { self.gid = gid }
        switch changes.modified {
        case .now?: modified = now
        case .at(let time)?: modified = time
        case nil: break
        }
    }
}

extension StoreError {
    /// The cause may pass by itself.
    var isWorthTryingLater: Bool {
        switch kind {
        case .unavailable, .timedOut, .network, .conflict, .badCredentials, .clockSkew: true
        default: false
        }
    }
}
