// Making a changed file an object: the choice of the way, and the way of one PutObject or CopyObject.
//
// Runs inside the file's gate. Everything is frozen while it runs, so that what arrives is what the
// file was at one moment; a change that comes meanwhile waits, or makes the file dirty again. What
// fails leaves the bucket and the staged bytes as they were.

import BlockStore
import Operations
import S3

extension WritableFile {
    /// What a publish has to do.
    enum PublishWay {
        case nothing
        /// Bytes of it are nowhere any more.
        case lost
        case put
        /// Only attributes and headers changed.
        case copy
        case multipart
    }

    /// Publishes what is not in the bucket yet.
    ///
    /// - Parameters:
    ///   - attributes: false leaves changed attributes to be gathered, if the bytes are published.
    ///   - then: called when it is in the bucket, or why it is not.
    func publish(attributes: Bool, then: @escaping @Sendable (WriteFailure?) -> Void) {
        enterGate { [self] leave in
            publishInside(attributes: attributes) { failure in
                leave()
                then(failure)
            }
        }
    }

    /// Enters the gate for a publish: not while a directory above is renamed, whose end it waits for
    /// outside the gate.
    private func enterGate(_ work: @escaping SerialGate.Work) {
        gate.enter { [self] leave in
            guard context.barrier.covers(locked { $0.key.bytes }) else { return work(leave) }
            leave()
            context.barrier.pass({ [self] in locked { $0.key.bytes } }) { [self] in
                enterGate(work)
            }
        }
    }

    /// Publishes because bytes that left the staging area are needed again.
    func publishEarly(then: @escaping @Sendable (WriteFailure?) -> Void) {
        enterGate { [self] leave in
            let end: @Sendable (WriteFailure?) -> Void = { failure in
                leave()
                then(failure)
            }
            enum Next { case nothing, removed, publish }
            let next: Next = locked { state in
                // Somebody else's publish may have come before.
                guard state.extents.contains([.sent]) else { return .nothing }
                return state.isRemoved ? .removed : .publish
            }
            switch next {
            case .nothing: end(nil)
            // Never under a name that belongs to another file by now.
            case .removed: end(Self.lostBytes)
            case .publish: publishInside(attributes: false, then: end)
            }
        }
    }

    /// As `publish`, inside the gate.
    func publishInside(attributes: Bool, then: @escaping @Sendable (WriteFailure?) -> Void) {
        context.room.began()
        let end: @Sendable (WriteFailure?) -> Void = { [context] failure in
            context.room.ended()
            then(failure)
        }
        switch locked({ way($0, attributes: attributes) }) {
        case .nothing: end(nil)
        case .lost: conclude(Self.lostBytes, end)
        case .put: put(then: end)
        case .copy: copyInPlace(then: end)
        case .multipart: publishStream(then: end)
        }
    }

    /// Why a file is not published whose bytes are gone: with zeros in their place it would be a lie.
    private static var lostBytes: WriteFailure {
        WriteFailure(
            errno: .inputOutput,
            reason: "bytes of it were in a multipart upload that the server no longer has; "
                + "write the file anew")
    }

    private func way(_ state: FileState, attributes: Bool) -> PublishWay {
        guard state.isDirty else { return .nothing }
        if state.isLost { return .lost }
        guard state.hasNewContent else { return attributes ? .copy : .nothing }
        let isSmall = state.size <= context.configuration.putLimit && state.upload == nil
        return isSmall ? .put : .multipart
    }

    // MARK: One PutObject

    private func put(then: @escaping @Sendable (WriteFailure?) -> Void) {
        locked { $0.frozen.append(FileState.everything) }
        let end: @Sendable (WriteFailure?) -> Void = { [self] failure in
            thaw(FileState.everything)
            conclude(failure, then)
        }
        materialise(FileState.everything) { [self] failure in
            if let failure { return end(failure) }
            headers { [self] result in
                switch result {
                case .failure(let failure): end(failure)
                case .success(let headers): sendPut(headers, then: end)
                }
            }
        }
    }

    private func sendPut(
        _ headers: ObjectHeaders, then: @escaping @Sendable (WriteFailure?) -> Void
    ) {
        let (request, snapshot) = locked { state in
            let body = state.staged.flatMap {
                state.size > 0 ? StagedBody($0, 0..<state.size) : nil
            }
            // A file that is one hole has nothing staged.
            let zeros = state.size > 0 && body == nil ? ZeroBody(size: state.size) : nil
            let request = PutRequest(
                key: state.key, body: body ?? zeros, headers: headers, condition: state.condition)
            return (request, PublishSnapshot(state, headers: headers))
        }
        let isHonoured = context.store.capabilities.conditionalPut != false
        context.checked(request.condition, request.key, isHonoured: isHonoured) { [self] refusal in
            if let refusal { return then(refusal) }
            context.slots.enter { [self] in
                context.store.put(request) { [self] result in
                    context.slots.leave()
                    switch result {
                    case .success(let written):
                        published(written, snapshot)
                        then(nil)
                    case .failure(let error):
                        then(WriteFailure(error, wantsAbsent: request.condition == .absent))
                    }
                }
            }
        }
    }

    // MARK: Attributes only

    private func copyInPlace(then: @escaping @Sendable (WriteFailure?) -> Void) {
        headers { [self] result in
            switch result {
            case .failure(let failure): conclude(failure, then)
            case .success(let headers): sendCopy(headers, then: then)
            }
        }
    }

    private func sendCopy(
        _ headers: ObjectHeaders, then: @escaping @Sendable (WriteFailure?) -> Void
    ) {
        let (version, snapshot) = locked { state in
            (state.published, PublishSnapshot(state, headers: headers))
        }
        guard let version else { return conclude(nil, then) }
        Copier(context: context).copy(
            version, to: version.key, headers: headers, condition: .none
        ) { [self] result in
            switch result {
            case .success(let written):
                republished(written, snapshot)
                conclude(nil, then)
            case .failure(let failure): conclude(failure, then)
            }
        }
    }

    // MARK: Afterwards

    /// The bytes are in the bucket.
    func published(_ written: WrittenObject, _ snapshot: PublishSnapshot) {
        let (version, replaced) = locked { state in
            let version = ObjectVersion(
                key: snapshot.key, etag: written.etag, size: state.size,
                modified: written.modified ?? context.time,
                storageClass: snapshot.headers.storageClass ?? .standard)
            state.base = version
            state.published = version
            state.isExclusive = false
            state.headers = snapshot.headers
            state.extents.replaceAll(.dirty, with: .clean)
            state.extents.replaceAll(.sent, with: .base)
            state.publishedContent = snapshot.contentChange
            state.publishedAttributes = max(
                state.publishedAttributes, snapshot.attributeChange)
            defer { state.replacedRecord = nil }
            return (version, state.replacedRecord)
        }
        if let replaced { context.records.ended(replaced) }
        context.wrote(version, snapshot.headers, inode: inode)
    }

    /// The same bytes are in the bucket with new headers.
    private func republished(_ written: WrittenObject, _ snapshot: PublishSnapshot) {
        let version = locked { state -> ObjectVersion? in
            guard let old = state.published else { return nil }
            let version = ObjectVersion(
                key: old.key, etag: written.etag, size: old.size,
                modified: written.modified ?? context.time, storageClass: old.storageClass)
            if state.base == old { state.base = version }
            state.published = version
            state.headers = snapshot.headers
            state.publishedAttributes = max(
                state.publishedAttributes, snapshot.attributeChange)
            return version
        }
        if let version { context.wrote(version, snapshot.headers, inode: inode) }
    }

    /// Remembers how the publish ended, and says so.
    func conclude(
        _ failure: WriteFailure?, _ then: @escaping @Sendable (WriteFailure?) -> Void
    ) {
        let key = locked { state in
            state.failure = failure
            return state.key
        }
        if failure == nil { forgetKeptRecord() }
        if let failure { context.report(failure, "publish", key) }
        then(failure)
    }
}

/// What a publish is of: later changes make the file dirty again.
struct PublishSnapshot: Sendable {
    var key: ObjectKey
    var contentChange: Int
    var attributeChange: Int
    var headers: ObjectHeaders

    init(_ state: FileState, headers: ObjectHeaders) {
        key = state.key
        contentChange = state.contentChange
        attributeChange = state.attributeChange
        self.headers = headers
    }
}

/// A body of zeros: a file that is nothing but a hole.
final class ZeroBody: UploadBody {
    let size: Int64

    init(size: Int64) { self.size = size }

    func read(at offset: Int64, into memory: UnsafeMutableRawBufferPointer) -> Bool {
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0)
        return true
    }
}
