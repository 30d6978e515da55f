// DeleteObjects, and DeleteObject for each key that DeleteObjects cannot take: those that XML cannot
// carry, those that the answer does not mention, and all of them on servers that do not know it.
//
// Locks: `state`, a leaf; nothing is begun or answered under it.

internal import Scheduling
internal import Synchronization

extension S3Client {
    @discardableResult
    public func delete(
        _ keys: [ObjectKey],
        completion: @escaping @Sendable (Result<[ObjectKey: StoreError], StoreError>) -> Void
    ) -> any Cancellable {
        precondition(keys.count <= 1000, "DeleteObjects takes 1,000 keys")
        let deletion = DeleteMany(self, completion)
        deletion.start(Set(keys))
        return deletion
    }
}

final class DeleteMany: Cancellable {
    private struct State {
        var waiting: [ObjectKey] = []
        var running = 0
        var errors: [ObjectKey: StoreError] = [:]
        var calls: [ObjectKey: any Cancellable] = [:]
        var isCancelled = false
        var isAnswered = false
    }

    /// Single deletes under way at once.
    private static let width = 16
    private let client: S3Client
    private let completion: @Sendable (Result<[ObjectKey: StoreError], StoreError>) -> Void
    private let steps = Steps()
    private let state = Mutex(State())

    init(
        _ client: S3Client,
        _ completion: @escaping @Sendable (Result<[ObjectKey: StoreError], StoreError>) -> Void
    ) {
        self.client = client
        self.completion = completion
    }

    func cancel() {
        steps.cancel()
        let calls = state.withLock { state in
            state.isCancelled = true
            return Array(state.calls.values)
        }
        for call in calls { call.cancel() }
    }

    func start(_ keys: Set<ObjectKey>) {
        var written: [ObjectKey: [UInt8]] = [:]
        for key in keys { written[key] = XMLWriter.escaped(key.bytes) }
        // One key is one request either way.
        guard written.count > 1, client.deletesMany else {
            return client.scheduler.run { self.deleteEach(keys) }
        }
        let batch = written.sorted { $0.key < $1.key }
        steps.next {
            client.deleteObjects(batch.map(\.value)) { result in
                self.take(result, of: Set(batch.map(\.key)), all: keys)
            }
        }
    }

    private func take(
        _ result: Result<DeletedKeys, StoreError>, of batch: Set<ObjectKey>, all: Set<ObjectKey>
    ) {
        switch result {
        case .failure(let error):
            guard Self.isUnknown(error) else { return completion(.failure(error)) }
            client.learnThatManyAreNotDeleted()
            deleteEach(all)
        case .success(let answer):
            let failed = answer.errors.filter { batch.contains($0.key) }
            state.withLock { $0.errors = failed }
            deleteEach(all.subtracting(answer.deleted).subtracting(failed.keys))
        }
    }

    private static func isUnknown(_ error: StoreError) -> Bool {
        error.kind == .notImplemented || error.status == 405 || error.kind == .malformedResponse
    }

    private func deleteEach(_ keys: Set<ObjectKey>) {
        state.withLock { $0.waiting = keys.sorted(by: >) }
        advance()
    }

    /// Begins as many as may run; answers when none is left.
    private func advance() {
        while true {
            let (key, result): (ObjectKey?, Result<[ObjectKey: StoreError], StoreError>?) =
                state.withLock { state in
                    if state.isCancelled { state.waiting = [] }
                    if state.running < Self.width, let key = state.waiting.popLast() {
                        state.running += 1
                        return (key, nil)
                    }
                    guard state.running == 0, state.waiting.isEmpty, !state.isAnswered else {
                        return (nil, nil)
                    }
                    state.isAnswered = true
                    return (
                        nil, state.isCancelled ? .failure(Self.cancelled) : .success(state.errors)
                    )
                }
            if let result { return completion(result) }
            guard let key else { return }
            begin(key)
        }
    }

    private static let cancelled = StoreError(
        kind: .cancelled, operation: "DeleteObjects", message: "cancelled")

    private func begin(_ key: ObjectKey) {
        let isDone = Flag()
        let call = client.delete(key) { result in
            isDone.set()
            self.state.withLock { state in
                state.running -= 1
                state.calls[key] = nil
                if case .failure(let error) = result { state.errors[key] = error }
            }
            self.advance()
        }
        let isCancelled = state.withLock { state in
            if !isDone.isSet { state.calls[key] = call }
            return state.isCancelled
        }
        if isCancelled { call.cancel() }
    }
}

/// What DeleteObjects told.
struct DeletedKeys: Sendable {
    var deleted: Set<ObjectKey>
    /// Those that trying again will not help.
    var errors: [ObjectKey: StoreError]
}

extension S3Client {
    /// DeleteObjects alone.
    ///
    /// - Parameter keys: escaped.
    fileprivate func deleteObjects(
        _ keys: [[UInt8]],
        completion: @escaping @Sendable (Result<DeletedKeys, StoreError>) -> Void
    ) -> any Cancellable {
        let body = XMLWriter.deletion(keys)
        let digest = Base64.encode(MD5.hash(body))
        return perform(
            AnswerExchange<DeletedDocument, DeletedKeys>(
                "DeleteObjects", sizeLimit: 16 << 20,
                request: {
                    var query = QueryWriter()
                    query.add("delete", "")
                    var spec = RequestSpec(
                        operation: "DeleteObjects", method: "POST", key: nil, query: query.bytes)
                    spec.signedHeaders = [
                        ("content-type", "application/xml"), ("content-md5", digest),
                    ]
                    spec.body = .bytes(body)
                    return spec
                },
                reading: { answer in
                    var errors: [ObjectKey: StoreError] = [:]
                    var deleted = answer.document.deleted
                    for (key, what) in answer.document.errors {
                        let server = ServerError(
                            status: answer.context.status, code: what.code, message: what.message,
                            requestID: answer.context.requestID)
                        let error = ErrorTable.error(
                            server, operation: "DeleteObjects", isBucket: false)
                        if error.kind == .notFound {
                            deleted.insert(key)
                        } else if !ErrorTable.isTransient(server) {
                            errors[key] = error
                        }
                    }
                    return .success(DeletedKeys(deleted: deleted, errors: errors))
                }, completion: completion))
    }
}
