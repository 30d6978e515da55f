// Finds out what the server does of what not every server does: conditions on writes.
//
// Touches one key of an unmistakable random name and nothing else, and deletes what it made. The first
// request creates nothing on a server that honours conditions.

internal import Logging

/// The end of the name of a probe's key is random; this is its beginning.
let probeName = ".pail-probe-"

extension S3Client {
    /// Finds out whether conditions on PutObject, CopyObject and CompleteMultipartUpload are honoured,
    /// by a key under `prefix` that is deleted again. What was found out is in `capabilities`, too.
    ///
    /// - Parameter completion: an error when the server did not let the probe write.
    @discardableResult
    public func probeWriting(
        under prefix: [UInt8],
        completion: @escaping @Sendable (Result<StoreCapabilities, StoreError>) -> Void
    ) -> any Cancellable {
        let steps = Steps()
        let name = probeName + String(UInt64.random(in: 0...UInt64.max), radix: 36)
        let key = ObjectKey(prefix + Array(name.utf8))
        Probe(self, key, steps, completion).start()
        return steps
    }
}

/// One probe. Each step begins the next.
private final class Probe: Sendable {
    private let client: S3Client
    private let key: ObjectKey
    private let steps: Steps
    private let completion: @Sendable (Result<StoreCapabilities, StoreError>) -> Void

    init(
        _ client: S3Client, _ key: ObjectKey, _ steps: Steps,
        _ completion: @escaping @Sendable (Result<StoreCapabilities, StoreError>) -> Void
    ) {
        self.client = client
        self.key = key
        self.steps = steps
        self.completion = completion
    }

    /// What a conditional write that has to be refused showed.
    private enum Verdict {
        case honoured
        case ignored
        case failed(StoreError)

        init(_ result: Result<some Sendable, StoreError>) {
            switch result {
            case .success: self = .ignored
            case .failure(let error):
                switch error.kind {
                case .preconditionFailed, .conflict: self = .honoured
                case .notImplemented: self = .ignored
                default: self = .failed(error)
                }
            }
        }
    }

    /// If-Match on a key that does not exist.
    func start() {
        put(.matches(ETag("00000000000000000000000000000000"))) { result in
            switch Verdict(result) {
            case .failed(let error): self.end(.failure(error))
            case .ignored:
                self.client.learn { $0.conditionalPut = false }
                // What does not look at PutObject's conditions looks at no others.
                self.client.learn {
                    $0.conditionalCopy = false
                    $0.conditionalComplete = false
                }
                self.end(.success(()))
            case .honoured: self.create()
            }
        }
    }

    private func create() {
        put(.absent) { result in
            switch result {
            case .failure(let error): self.end(.failure(error))
            case .success(let written): self.createAgain(written.etag)
            }
        }
    }

    /// If-None-Match on the key that exists now, then If-Match with its ETag.
    private func createAgain(_ etag: ETag) {
        put(.absent) { result in
            guard case .honoured = Verdict(result) else { return self.ignored(result) }
            self.put(.matches(etag)) { result in
                guard case .success(let written) = result else { return self.ignored(result) }
                self.client.learn { $0.conditionalPut = true }
                self.copy(written.etag)
            }
        }
    }

    private func ignored(_ result: Result<WrittenObject, StoreError>) {
        client.learn { $0.conditionalPut = false }
        if case .failure(let error) = result, error.kind != .preconditionFailed {
            return end(.failure(error))
        }
        end(.success(()))
    }

    /// A copy onto itself that must be refused, as the key exists.
    private func copy(_ etag: ETag) {
        steps.next {
            client.copy(
                CopyRequest(
                    source: CopySource(key: key, etag: nil), key: key, headers: ObjectHeaders(),
                    condition: .absent)
            ) { result in
                switch Verdict(result) {
                case .honoured: self.client.learn { $0.conditionalCopy = true }
                case .ignored: self.client.learn { $0.conditionalCopy = false }
                case .failed: break
                }
                self.upload()
            }
        }
    }

    /// An upload of one part whose completion must be refused, as the key exists.
    private func upload() {
        steps.next {
            client.createUpload(key, headers: ObjectHeaders()) { result in
                guard case .success(let upload) = result else {
                    return self.end(.success(()))
                }
                self.steps.next {
                    self.client.uploadPart(upload, number: 1, body: ProbeBody()) { result in
                        guard case .success(let part) = result else { return self.abort(upload) }
                        self.complete(upload, part)
                    }
                }
            }
        }
    }

    private func complete(_ upload: MultipartUpload, _ part: UploadedPart) {
        steps.next {
            client.completeUpload(upload, parts: [part], condition: .absent) { result in
                switch Verdict(result) {
                // One of the two conditions alone is no help: both, or none.
                case .honoured: self.completeMatching(upload, part)
                case .ignored:
                    self.client.learn { $0.conditionalComplete = false }
                    self.abort(upload)
                case .failed: self.abort(upload)
                }
            }
        }
    }

    private func completeMatching(_ upload: MultipartUpload, _ part: UploadedPart) {
        steps.next {
            client.completeUpload(
                upload, parts: [part],
                condition: .matches(ETag("00000000000000000000000000000000"))
            ) { result in
                switch Verdict(result) {
                case .honoured: self.client.learn { $0.conditionalComplete = true }
                case .ignored: self.client.learn { $0.conditionalComplete = false }
                case .failed: break
                }
                self.abort(upload)
            }
        }
    }

    private func abort(_ upload: MultipartUpload) {
        client.abortUpload(upload) { _ in self.end(.success(())) }
    }

    /// Deletes the key, also after a cancellation, and answers.
    private func end(_ result: Result<Void, StoreError>) {
        client.delete(key) { deleted in
            if case .failure(let error) = deleted, case .success = result {
                self.client.log.warning(
                    "the probe's object \(self.key) could not be deleted: \(error)")
            }
            self.completion(result.map { self.client.capabilities })
        }
    }

    private func put(
        _ condition: WriteCondition,
        _ then: @escaping @Sendable (Result<WrittenObject, StoreError>) -> Void
    ) {
        steps.next {
            client.put(
                PutRequest(
                    key: key, body: nil, headers: ObjectHeaders(), condition: condition),
                completion: then)
        }
    }
}

/// The one byte of a part.
private final class ProbeBody: UploadBody {
    var size: Int64 { 1 }
    func read(at offset: Int64, into memory: UnsafeMutableRawBufferPointer) -> Bool {
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0x2E)
        return true
    }
}
