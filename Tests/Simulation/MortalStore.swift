// A bucket as one process sees it: after the process is dead, no answer reaches it and nothing new is
// sent. What was under way at the death either breaks off (and changes nothing) or arrives.
//
// Locks: one mutex, a leaf; nothing is called under it.

public import S3
import Synchronization

/// The connections of one life of a process.
public final class MortalStore: WritableObjectStore {
    private let base: SimulatedStore
    private let points: CrashPoints
    private let state: Mutex<State>

    private struct State {
        var generator: SeededGenerator
        var flights: [Int: Flight] = [:]
        var nextID = 0
    }

    /// A change under way.
    private struct Flight: Sendable {
        var body: MortalBody?
        var call: (any Cancellable)?
    }

    /// - Parameter seed: decides what breaks off at the death.
    public init(_ base: SimulatedStore, points: CrashPoints, seed: UInt64) {
        self.base = base
        self.points = points
        state = Mutex(State(generator: SeededGenerator(seed: seed)))
        points.atDeath { [weak self] in self?.breakOff() }
    }

    private func breakOff() {
        let flights: [(Flight, Bool)] = state.withLock { state in
            state.flights.sorted { $0.key < $1.key }.map { _, flight in
                (flight, Bool.random(using: &state.generator))
            }
        }
        for (flight, arrives) in flights {
            // A body arrives only if all of it was in the sockets already.
            let isWhole = flight.body?.freeze() ?? true
            if !arrives || !isWhole { flight.call?.cancel() }
        }
    }

    /// Sends a change, unless the process is dead or dies right before it.
    private func send<Value: Sendable>(
        _ what: String, body: MortalBody? = nil,
        _ completion: @escaping @Sendable (Result<Value, StoreError>) -> Void,
        call: (@escaping @Sendable (Result<Value, StoreError>) -> Void) -> any Cancellable
    ) -> any Cancellable {
        guard points.pass(what) else { return DeadCall() }
        let id = state.withLock { state in
            state.nextID += 1
            state.flights[state.nextID] = Flight(body: body)
            return state.nextID
        }
        let sent = call { [self] result in
            let old = state.withLock { $0.flights.removeValue(forKey: id) }
            if points.pass("the answer of \(what)") { completion(result) }
            _ = old
        }
        state.withLock { $0.flights[id]?.call = sent }
        return sent
    }

    private func answer<Value: Sendable>(
        _ completion: @escaping @Sendable (Result<Value, StoreError>) -> Void
    ) -> @Sendable (Result<Value, StoreError>) -> Void {
        { [points] result in if !points.isDead { completion(result) } }
    }

    // MARK: Reading

    public func list(
        _ request: ListRequest,
        completion: @escaping @Sendable (Result<ListPage, StoreError>) -> Void
    ) -> any Cancellable {
        points.isDead ? DeadCall() : base.list(request, completion: answer(completion))
    }

    public func head(
        _ key: ObjectKey,
        completion: @escaping @Sendable (Result<ObjectHead, StoreError>) -> Void
    ) -> any Cancellable {
        points.isDead ? DeadCall() : base.head(key, completion: answer(completion))
    }

    public func get(_ request: GetRequest, receiver: any GetReceiver) -> any Cancellable {
        guard !points.isDead else { return DeadCall() }
        return base.get(request, receiver: MortalReceiver(receiver, points))
    }

    public func url(of key: ObjectKey) -> String { base.url(of: key) }
    public var capabilities: StoreCapabilities { base.capabilities }

    // MARK: Changing

    public func put(
        _ request: PutRequest,
        completion: @escaping @Sendable (Result<WrittenObject, StoreError>) -> Void
    ) -> any Cancellable {
        var request = request
        let body = request.body.map { MortalBody($0) }
        request.body = body
        return send("PutObject \(request.key)", body: body, completion) { [request] in
            base.put(request, completion: $0)
        }
    }

    public func copy(
        _ request: CopyRequest,
        completion: @escaping @Sendable (Result<WrittenObject, StoreError>) -> Void
    ) -> any Cancellable {
        send("CopyObject \(request.source.key) to \(request.key)", completion) {
            base.copy(request, completion: $0)
        }
    }

    public func delete(
        _ key: ObjectKey, completion: @escaping @Sendable (Result<Void, StoreError>) -> Void
    ) -> any Cancellable {
        send("DeleteObject \(key)", completion) { base.delete(key, completion: $0) }
    }

    public func delete(
        _ keys: [ObjectKey],
        completion: @escaping @Sendable (Result<[ObjectKey: StoreError], StoreError>) -> Void
    ) -> any Cancellable {
        send("DeleteObjects of \(keys.count)", completion) { base.delete(keys, completion: $0) }
    }

    public func createUpload(
        _ key: ObjectKey, headers: ObjectHeaders,
        completion: @escaping @Sendable (Result<MultipartUpload, StoreError>) -> Void
    ) -> any Cancellable {
        send("CreateMultipartUpload \(key)", completion) {
            base.createUpload(key, headers: headers, completion: $0)
        }
    }

    public func uploadPart(
        _ upload: MultipartUpload, number: Int, body: any UploadBody,
        completion: @escaping @Sendable (Result<UploadedPart, StoreError>) -> Void
    ) -> any Cancellable {
        let body = MortalBody(body)
        return send("UploadPart \(number) of \(upload.key)", body: body, completion) {
            base.uploadPart(upload, number: number, body: body, completion: $0)
        }
    }

    public func copyPart(
        _ upload: MultipartUpload, number: Int, source: CopySource, range: Range<Int64>,
        completion: @escaping @Sendable (Result<UploadedPart, StoreError>) -> Void
    ) -> any Cancellable {
        send("UploadPartCopy \(number) of \(upload.key)", completion) {
            base.copyPart(upload, number: number, source: source, range: range, completion: $0)
        }
    }

    public func completeUpload(
        _ upload: MultipartUpload, parts: [UploadedPart], condition: WriteCondition,
        completion: @escaping @Sendable (Result<WrittenObject, StoreError>) -> Void
    ) -> any Cancellable {
        send("CompleteMultipartUpload \(upload.key)", completion) {
            base.completeUpload(upload, parts: parts, condition: condition, completion: $0)
        }
    }

    public func abortUpload(
        _ upload: MultipartUpload,
        completion: @escaping @Sendable (Result<Void, StoreError>) -> Void
    ) -> any Cancellable {
        send("AbortMultipartUpload \(upload.key)", completion) {
            base.abortUpload(upload, completion: $0)
        }
    }

    public func listParts(
        _ upload: MultipartUpload,
        completion: @escaping @Sendable (Result<[UploadedPart], StoreError>) -> Void
    ) -> any Cancellable {
        points.isDead ? DeadCall() : base.listParts(upload, completion: answer(completion))
    }
}

/// A call of a dead process: nobody waits for it.
private final class DeadCall: Cancellable {
    func cancel() {}
}

/// Hands a body on as long as the process lives.
private final class MortalReceiver: GetReceiver {
    private let base: any GetReceiver
    private let points: CrashPoints

    init(_ base: any GetReceiver, _ points: CrashPoints) {
        self.base = base
        self.points = points
    }

    func receive(head: ObjectHead) { if !points.isDead { base.receive(head: head) } }
    func receive(bytes: UnsafeRawBufferPointer, at offset: Int64) {
        if !points.isDead { base.receive(bytes: bytes, at: offset) }
    }
    func finish(_ result: Result<Void, StoreError>) { if !points.isDead { base.finish(result) } }
}

/// A body that is read from the process until that dies, and then from what was read before.
private final class MortalBody: UploadBody {
    let size: Int64
    private let base: any UploadBody
    private let state = Mutex((sent: [UInt8](), isFrozen: false))

    init(_ base: any UploadBody) {
        self.base = base
        size = base.size
    }

    /// Reads no more from the process; false when not all of it was read. Asks nobody else: the
    /// process may die under any lock of its own.
    func freeze() -> Bool {
        state.withLock { state in
            state.isFrozen = true
            return state.sent.count == Int(size)
        }
    }

    func read(at offset: Int64, into memory: UnsafeMutableRawBufferPointer) -> Bool {
        let range = Int(offset)..<Int(offset) + memory.count
        let isThere: Bool? = state.withLock { state in
            guard state.isFrozen else { return nil }
            guard range.upperBound <= state.sent.count else { return false }
            memory.copyBytes(from: state.sent[range])
            return true
        }
        if let isThere { return isThere }
        guard base.read(at: offset, into: memory) else { return false }
        state.withLock { state in
            if range.lowerBound == state.sent.count { state.sent += memory }
        }
        return true
    }
}
