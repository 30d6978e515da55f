// An S3 bucket in memory, with a clock and faults that a seed plays.
//
// A request travels half its round trip, meets the bucket as it is then, and its answer travels the
// other half; bodies come in pieces. Receivers are called from the scheduler only, never on the
// caller's stack. All changes of a key are kept, so that a test can ask what it held when.
//
// Locks: one mutex, a leaf; nothing is called under it.

public import S3
public import Scheduling
import Synchronization

/// A simulated bucket.
public final class SimulatedStore: ObjectStore {
    let scheduler: any Scheduler
    let state: Mutex<State>

    struct State {
        var bucket = Bucket()
        var history: [ObjectKey: [KeyChange]] = [:]
        var generator: SeededGenerator
        var faults = FaultPlan()
        var scripts: [ScriptedFault] = []
        var roundTrip: Duration = .zero
        var bandwidth: Int?
        var log: [RecordedRequest] = []
        /// The number of the log's first request; those before were dropped by `resetRequests`.
        var logStart = 0
        var versions = 0
        var pending = 0
        var uploads = UploadTable()
        var server = ServerBehaviour()
        var checksBodies = true
        var violations: [String] = []
    }

    /// - Parameter seed: decides pieces, delays and faults.
    public init(scheduler: any Scheduler, seed: UInt64) {
        self.scheduler = scheduler
        state = Mutex(State(generator: SeededGenerator(seed: seed)))
    }

    // MARK: What is in the bucket

    /// Puts an object, as any client of the bucket may at any time.
    @discardableResult
    public func put(
        _ key: ObjectKey, _ bytes: [UInt8], storageClass: StorageClass = .standard,
        metadata: [String: String] = [:], contentType: String? = nil, isRestored: Bool = false
    ) -> ETag {
        let (now, modified) = clock
        return state.withLock { state in
            state.versions += 1
            // The same bytes have the same ETag, as on S3.
            let same = state.history[key]?.first { $0.object?.bytes == bytes }
            let etag = same?.object?.etag ?? StoredObject.etag(state.versions)
            let object = StoredObject(
                key: key, bytes: bytes, etag: etag, modified: modified,
                storageClass: storageClass, contentType: contentType, metadata: metadata,
                versionID: "v\(state.versions)", isRestored: isRestored)
            Self.put(object, at: now, by: nil, in: &state)
            return object.etag
        }
    }

    /// Deletes an object; returns false when there was none.
    @discardableResult
    public func delete(_ key: ObjectKey) -> Bool {
        let now = scheduler.now
        return state.withLock { Self.delete(key, at: now, by: nil, in: &$0) }
    }

    /// All objects, in bytewise order of their keys.
    public var objects: [StoredObject] {
        state.withLock { state in state.bucket.keys.map { state.bucket[$0]! } }
    }

    /// The object of a key now.
    public func object(_ key: ObjectKey) -> StoredObject? { state.withLock { $0.bucket[key] } }

    /// All that happened to a key, oldest first.
    public func history(of key: ObjectKey) -> [KeyChange] {
        state.withLock { $0.history[key] ?? [] }
    }

    /// Every key that was ever put.
    public var everyKey: [ObjectKey] { state.withLock { $0.history.keys.sorted() } }

    // MARK: How it behaves

    /// What goes wrong, and how often.
    public var faults: FaultPlan {
        get { state.withLock { $0.faults } }
        set { state.withLock { $0.faults = newValue } }
    }

    /// From a request until the first byte of its answer; the plan's `delay` is added.
    public var roundTrip: Duration {
        get { state.withLock { $0.roundTrip } }
        set { state.withLock { $0.roundTrip = newValue } }
    }

    /// Bytes per second of one request's body; nil for no limit.
    public var bandwidth: Int? {
        get { state.withLock { $0.bandwidth } }
        set { state.withLock { $0.bandwidth = newValue } }
    }

    /// Adds a fault for one request to come; the oldest that fits a request is used.
    public func script(_ fault: ScriptedFault) { state.withLock { $0.scripts.append(fault) } }

    /// Scripted faults that no request has met yet.
    public var unusedScripts: [ScriptedFault] { state.withLock { $0.scripts } }

    // MARK: What was asked of it

    /// All requests since the start or the last `resetRequests`, oldest first.
    public var requests: [RecordedRequest] { state.withLock { $0.log } }

    /// How many requests of one kind were made, or of all kinds.
    public func count(_ operation: StoreOperation? = nil) -> Int {
        state.withLock { state in
            operation.map { wanted in state.log.count { $0.operation == wanted } }
                ?? state.log.count
        }
    }

    /// Body bytes given to receivers.
    public var bytesFetched: Int64 { bytes(of: [.get]) }

    /// Body bytes read from bodies.
    public var bytesSent: Int64 { bytes(of: [.put, .uploadPart]) }

    private func bytes(of operations: Set<StoreOperation>) -> Int64 {
        state.withLock { state in
            state.log.reduce(0) { operations.contains($1.operation) ? $0 + $1.bytes : $0 }
        }
    }

    /// Requests that have not ended.
    public var pendingRequests: Int {
        state.withLock { $0.pending }
    }

    /// Forgets the requests so far.
    public func resetRequests() {
        state.withLock { state in
            state.logStart += state.log.count
            state.log = []
        }
    }

    // MARK: ObjectStore

    @discardableResult
    public func list(
        _ request: ListRequest,
        completion: @escaping @Sendable (Result<ListPage, StoreError>) -> Void
    ) -> any Cancellable {
        let call = SimulatedCall(scheduler: scheduler)
        let trip = begin(.list, ObjectKey(request.prefix), list: request)
        let end = { @Sendable (result: Result<ListPage, StoreError>) in
            self.record(trip.id, result.failureKind)
            completion(result)
        }
        call.next(after: trip.delay / 2) { isCancelled in
            if isCancelled { return end(.failure(.simulated(.cancelled, .list))) }
            let result: Result<ListPage, StoreError> = self.state.withLock { state in
                if let error = trip.error { return .failure(.simulated(error, .list)) }
                var limit = min(max(request.maxKeys, 0), 1000)
                if limit > 1, state.generator.chance(state.faults.shortPages) {
                    limit = Int.random(in: 1...limit, using: &state.generator)
                }
                guard let page = state.bucket.list(request, maxKeys: limit) else {
                    return .failure(.simulated(.other, .list, code: "InvalidArgument"))
                }
                return .success(page)
            }
            call.next(after: trip.delay / 2) { isCancelled in
                end(isCancelled ? .failure(.simulated(.cancelled, .list)) : result)
            }
        }
        return call
    }

    @discardableResult
    public func head(
        _ key: ObjectKey,
        completion: @escaping @Sendable (Result<ObjectHead, StoreError>) -> Void
    ) -> any Cancellable {
        let call = SimulatedCall(scheduler: scheduler)
        let trip = begin(.head, key)
        let end = { @Sendable (result: Result<ObjectHead, StoreError>) in
            self.record(trip.id, result.failureKind)
            completion(result)
        }
        call.next(after: trip.delay / 2) { isCancelled in
            if isCancelled { return end(.failure(.simulated(.cancelled, .head))) }
            let result: Result<ObjectHead, StoreError> = self.state.withLock { state in
                if let error = trip.error { return .failure(.simulated(error, .head)) }
                guard let object = state.bucket[key] else {
                    return .failure(.simulated(.notFound, .head))
                }
                return .success(object.head)
            }
            call.next(after: trip.delay / 2) { isCancelled in
                end(isCancelled ? .failure(.simulated(.cancelled, .head)) : result)
            }
        }
        return call
    }

    @discardableResult
    public func get(_ request: GetRequest, receiver: any GetReceiver) -> any Cancellable {
        precondition(request.range.map { !$0.isEmpty && $0.lowerBound >= 0 } ?? true)
        let call = SimulatedCall(scheduler: scheduler)
        let trip = begin(.get, request.key, range: request.range, ifMatch: request.ifMatch)
        call.next(after: trip.delay / 2) { isCancelled in
            if isCancelled { return self.finish(trip.id, receiver, .cancelled) }
            self.perhapsChange(request.key, self.faults.changeBeforeGet)
            let error = trip.bytesBefore == nil ? trip.error : nil
            let result = self.state.withLock { Self.answer(request, error: error, in: $0) }
            call.next(after: trip.delay / 2) { isCancelled in
                if isCancelled { return self.finish(trip.id, receiver, .cancelled) }
                switch result {
                case .failure(let kind): self.finish(trip.id, receiver, kind)
                case .success(let (object, range)):
                    receiver.receive(head: object.head)
                    self.send(
                        Body(object: object, range: range, call: call, trip: trip), to: receiver)
                }
            }
        }
        return call
    }

    public func url(of key: ObjectKey) -> String { "https://bucket.example/\(key)" }

    // MARK: Requests

    /// What was drawn for one request.
    struct Trip: Sendable {
        var id: Int
        var delay: Duration
        var error: StoreError.Kind?
        /// The error comes after so many bytes of the body.
        var bytesBefore: Int64?
        /// The error comes after the change was carried out.
        var isLostAnswer = false
    }

    func begin(
        _ operation: StoreOperation, _ key: ObjectKey, range: Range<Int64>? = nil,
        ifMatch: ETag? = nil, list: ListRequest? = nil
    ) -> Trip {
        let now = scheduler.now
        return state.withLock { state in
            let id = state.logStart + state.log.count
            state.pending += 1
            state.log.append(
                RecordedRequest(
                    operation: operation, key: key, range: range, ifMatch: ifMatch, list: list,
                    time: now))
            let delay = state.roundTrip + state.generator.duration(in: state.faults.delay)
            let script = state.scripts.firstIndex {
                $0.operation == operation && ($0.key == nil || $0.key == key)
            }
            if let script = script.map({ state.scripts.remove(at: $0) }) {
                return Trip(
                    id: id, delay: delay + script.delay, error: script.error,
                    bytesBefore: script.bytesBefore > 0 ? script.bytesBefore : nil,
                    isLostAnswer: script.isLostAnswer)
            }
            let error = state.faults.error(of: operation, using: &state.generator)
            if error == nil, operation.isChange, state.generator.chance(state.faults.lostAnswers) {
                let kind: StoreError.Kind =
                    Bool.random(using: &state.generator) ? .network : .timedOut
                return Trip(id: id, delay: delay, error: kind, isLostAnswer: true)
            }
            return Trip(id: id, delay: delay, error: error)
        }
    }

    /// An object and the bytes of it to send, or why not.
    private enum Answer: Sendable {
        case success((StoredObject, Range<Int64>))
        case failure(StoreError.Kind)
    }

    private static func answer(
        _ request: GetRequest, error: StoreError.Kind?, in state: State
    ) -> Answer {
        if let error { return .failure(error) }
        guard let object = state.bucket[request.key] else { return .failure(.notFound) }
        if let etag = request.ifMatch, etag != object.etag { return .failure(.preconditionFailed) }
        if object.storageClass.isArchived, !object.isRestored { return .failure(.archived) }
        guard let range = request.range else { return .success((object, 0..<object.size)) }
        guard range.lowerBound < object.size else { return .failure(.invalidRange) }
        return .success((object, range.clamped(to: 0..<object.size)))
    }

    func finish(_ id: Int, _ receiver: any GetReceiver, _ kind: StoreError.Kind?) {
        record(id, kind)
        receiver.finish(kind.map { .failure(.simulated($0, .get)) } ?? .success(()))
    }

    func record(_ id: Int, _ kind: StoreError.Kind?) {
        state.withLock { state in
            state.pending -= 1
            let index = id - state.logStart
            guard index >= 0 else { return }
            precondition(state.log[index].outcome == .pending, "a request ended twice")
            state.log[index].outcome = kind.map { .failed($0) } ?? .succeeded
        }
    }

    static func put(
        _ object: StoredObject, at now: Duration, by cause: StoreOperation?, in state: inout State
    ) {
        state.bucket.put(object)
        state.history[object.key, default: []].append(
            KeyChange(time: now, object: object, cause: cause))
    }

    @discardableResult
    static func delete(
        _ key: ObjectKey, at now: Duration, by cause: StoreOperation?, in state: inout State
    ) -> Bool {
        guard state.bucket.delete(key) else { return false }
        state.history[key, default: []].append(
            KeyChange(time: now, object: nil, cause: cause))
        return true
    }

    var clock: (now: Duration, modified: Int64) {
        let now = scheduler.now
        return (now, scheduler.unixTime.components.seconds * 1_000_000_000)
    }
}
