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
        gate.enter { [self] leave in
            publishInside(attributes: attributes) { failure in
                leave()
                then(failure)
            }
        }
    }

    /// Publishes because bytes that left the staging area are needed again.
    func publishEarly(then: @escaping @Sendable (WriteFailure?) -> Void) {
        gate.enter { [self] leave in
            guard locked({ !$0.isRemoved }) else {
                leave()
                return then(
                    WriteFailure(errno: .stale, reason: "removed while it was being uploaded"))
            }
            publishStream { failure in
                leave()
                then(failure)
            }
        }
    }

    /// As `publish`, inside the gate.
    func publishInside(attributes: Bool, then: @escaping @Sendable (WriteFailure?) -> Void) {
        switch locked({ way($0, attributes: attributes) }) {
        case .nothing: then(nil)
        case .put: put(then: then)
        case .copy: copyInPlace(then: then)
        case .multipart: publishStream(then: then)
        }
    }

    private func way(_ state: FileState, attributes: Bool) -> PublishWay {
        guard state.isDirty else { return .nothing }
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
        context.checked(request.condition, request.key) { [self] refusal in
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
        let version = locked { state in
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
            return version
        }
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
        let (key, isKept) = locked { state in
            state.failure = failure
            return (state.key, state.journalID != nil && !state.isDirty && !state.deletesAtEnd)
        }
        if failure == nil, isKept { forgetRecord() }
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
