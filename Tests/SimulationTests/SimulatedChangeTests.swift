import S3
import Simulation
import Synchronization
import Testing

/// PutObject, CopyObject and the deletes of the simulated bucket follow S3's rules.
struct SimulatedChangeTests {
    let scheduler = SimulatedScheduler(seed: 1)
    let store: SimulatedStore

    init() { store = SimulatedStore(scheduler: scheduler, seed: 2) }

    private func put(
        _ key: ObjectKey, _ bytes: [UInt8], _ condition: WriteCondition = .none,
        headers: ObjectHeaders = ObjectHeaders()
    ) -> Result<WrittenObject, StoreError>? {
        let request = PutRequest(
            key: key, body: MemoryBody(bytes), headers: headers, condition: condition)
        return answer { store.put(request, completion: $0) }
    }

    private func copy(
        _ source: CopySource, to key: ObjectKey, headers: ObjectHeaders? = nil,
        _ condition: WriteCondition = .none
    ) -> Result<WrittenObject, StoreError>? {
        let request = CopyRequest(
            source: source, key: key, headers: headers, condition: condition)
        return answer { store.copy(request, completion: $0) }
    }

    private func answer<Value: Sendable>(
        _ ask: (@escaping @Sendable (Result<Value, StoreError>) -> Void) -> any Cancellable
    ) -> Result<Value, StoreError>? {
        Answer.of(scheduler, ask)
    }

    @Test func conditionsDecideWhetherAKeyIsWritten() throws {
        let key = ObjectKey("a")
        let first = try #require(put(key, [1, 2, 3], .absent)).get()
        #expect(store.object(key)?.bytes == [1, 2, 3])
        #expect(put(key, [4], .absent)?.failureKind == .preconditionFailed)
        let second = try #require(put(key, [4], .matches(first.etag))).get()
        #expect(put(key, [5], .matches(first.etag))?.failureKind == .preconditionFailed)
        #expect(put(ObjectKey("b"), [5], .matches(first.etag))?.failureKind == .notFound)
        #expect(store.object(key)?.etag == second.etag)
        // The same bytes have the same ETag again, others have another.
        #expect(try put(key, [1, 2, 3])?.get().etag == first.etag)
        #expect(first.etag != second.etag)
        store.server.honoursPutConditions = false
        #expect(put(key, [6], .absent)?.failureKind == nil)
        #expect(store.history(of: key).map(\.object?.bytes) == [[1, 2, 3], [4], [1, 2, 3], [6]])
        #expect(store.history(of: key).allSatisfy { $0.cause == .put })
    }

    @Test func bodyIsReadWhileItTravels() {
        store.roundTrip = .milliseconds(20)
        store.bandwidth = 1_000_000
        store.faults.pieceSize = 1000...1000
        let result = Answer<WrittenObject>()
        let request = PutRequest(
            key: ObjectKey("a"), body: MemoryBody([UInt8](repeating: 7, count: 100_000)),
            headers: ObjectHeaders())
        store.put(request) { result.take($0) }
        scheduler.advance(by: .milliseconds(9))
        #expect(store.bytesSent == 0)
        scheduler.advance(by: .milliseconds(51))
        #expect(store.bytesSent == 50_000)
        #expect(store.object(ObjectKey("a")) == nil)
        scheduler.advance(by: .milliseconds(51))
        #expect(store.object(ObjectKey("a"))?.size == 100_000)
        #expect(result.value == nil)
        scheduler.advance(by: .milliseconds(10))
        #expect(result.value?.failureKind == nil && result.value != nil)
        #expect(store.violations == [])
    }

    @Test func bodyThatChangesIsNoticed() {
        store.roundTrip = .milliseconds(20)
        store.bandwidth = 1_000_000
        let body = MemoryBody([UInt8](repeating: 7, count: 100_000))
        store.put(PutRequest(key: ObjectKey("a"), body: body, headers: ObjectHeaders())) { _ in }
        // All of it was sent, but the call has not answered.
        scheduler.advance(by: .milliseconds(115))
        body.change(at: 99_999, to: 8)
        scheduler.runUntilIdle()
        #expect(store.violations == ["body changed during the call: PutObject a"])
    }

    @Test func copiesKeepOrReplaceWhatIsKeptWithTheObject() throws {
        let headers = ObjectHeaders(
            contentType: "image/png", cacheControl: "no-cache",
            storageClass: StorageClass(rawValue: "GLACIER_IR"), metadata: ["mode": "33188"])
        let etag = try #require(put(ObjectKey("a"), [1, 2], headers: headers)).get().etag
        let source = CopySource(key: ObjectKey("a"), etag: etag)
        #expect(copy(source, to: ObjectKey("b"))?.failureKind == nil)
        #expect(store.object(ObjectKey("b"))?.contentType == "image/png")
        #expect(store.object(ObjectKey("b"))?.cacheControl == "no-cache")
        #expect(store.object(ObjectKey("b"))?.metadata == ["mode": "33188"])
        // The storage class is the one thing that is not copied.
        #expect(store.object(ObjectKey("b"))?.storageClass == .standard)
        #expect(copy(source, to: ObjectKey("a"))?.failureKind == .other)
        let new = ObjectHeaders(metadata: ["mode": "33152"])
        #expect(copy(source, to: ObjectKey("a"), headers: new)?.failureKind == nil)
        #expect(store.object(ObjectKey("a"))?.contentType == nil)
        #expect(store.object(ObjectKey("a"))?.metadata == ["mode": "33152"])
        #expect(store.object(ObjectKey("a"))?.etag == etag)
        #expect(
            copy(CopySource(key: ObjectKey("a"), etag: ETag("x")), to: ObjectKey("c"))?
                .failureKind == .preconditionFailed)
        #expect(
            copy(CopySource(key: ObjectKey("z"), etag: nil), to: ObjectKey("c"))?.failureKind
                == .notFound)
        #expect(copy(source, to: ObjectKey("b"), .absent)?.failureKind == .preconditionFailed)
    }

    @Test func lostAnswerLeavesTheChange() {
        store.script(
            ScriptedFault(.put, key: ObjectKey("a"), error: .timedOut, isLostAnswer: true))
        #expect(put(ObjectKey("a"), [1])?.failureKind == .timedOut)
        #expect(store.object(ObjectKey("a"))?.bytes == [1])
        store.script(ScriptedFault(.put, error: .network, bytesBefore: 2))
        #expect(put(ObjectKey("a"), [4, 5, 6])?.failureKind == .network)
        #expect(store.object(ObjectKey("a"))?.bytes == [1])
        #expect(store.requests.map(\.tookEffect) == [true, false])
        #expect(store.bytesSent == 1 + 2)
        store.script(ScriptedFault(.delete, error: .network, isLostAnswer: true))
        let deleted = answer { store.delete(ObjectKey("a"), completion: $0) }
        #expect(deleted?.failureKind == .network && store.object(ObjectKey("a")) == nil)
    }

    @Test func givenUpBeforeItArrivesNothingChanges() {
        store.roundTrip = .milliseconds(20)
        let request = PutRequest(
            key: ObjectKey("a"), body: MemoryBody([1]), headers: ObjectHeaders())
        for (delay, arrives) in [(5, false), (15, true)] {
            let result = Answer<WrittenObject>()
            let call = store.put(request) { result.take($0) }
            scheduler.advance(by: .milliseconds(delay))
            call.cancel()
            scheduler.runUntilIdle()
            #expect(result.value?.failureKind == .cancelled)
            #expect((store.object(ObjectKey("a")) != nil) == arrives)
        }
    }

    @Test func quotaPermissionsAndLimitsRefuse() {
        store.server.quota = 10
        #expect(put(ObjectKey("a"), [UInt8](repeating: 0, count: 8))?.failureKind == nil)
        #expect(put(ObjectKey("b"), [1, 2, 3])?.failureKind == .quotaExceeded)
        #expect(put(ObjectKey("a"), [UInt8](repeating: 1, count: 10))?.failureKind == nil)
        store.server.mayWrite = false
        #expect(put(ObjectKey("a"), [1])?.failureKind == .accessDenied)
        store.server.mayWrite = true
        store.server.largestPart = 5
        #expect(put(ObjectKey("a"), [1, 2, 3, 4, 5, 6])?.failureKind == .tooLarge)
        let large = ObjectHeaders(metadata: ["x": String(repeating: "y", count: 2048)])
        #expect(put(ObjectKey("a"), [1], headers: large)?.failureKind == .other)
        #expect(store.object(ObjectKey("a"))?.size == 10)
        store.server.mayDelete = false
        let deleted = answer { store.delete(ObjectKey("a"), completion: $0) }
        #expect(deleted?.failureKind == .accessDenied && store.object(ObjectKey("a")) != nil)
    }

    @Test func manyAreDeletedAndSomeRefused() throws {
        let keys = (0..<50).map { ObjectKey("k\($0)") }
        for key in keys.dropLast() { store.put(key, [1]) }
        store.faults.refuseKey = 0.3
        let failed = try #require(answer { store.delete(keys, completion: $0) }).get()
        #expect(!failed.isEmpty && failed.count < 50)
        #expect(Set(store.objects.map(\.key)) == Set(failed.keys).subtracting([keys.last!]))
        #expect(
            answer { store.delete([], completion: $0) }?.failureKind == .other, "an empty request")
    }
}

/// An answer, once it is there.
final class Answer<Value: Sendable>: Sendable {
    private let state = Mutex<Result<Value, StoreError>?>(nil)

    var value: Result<Value, StoreError>? { state.withLock { $0 } }

    func take(_ result: Result<Value, StoreError>) {
        state.withLock { state in
            precondition(state == nil, "answered twice")
            state = result
        }
    }

    /// Asks, and runs until nothing is left to do.
    static func of(
        _ scheduler: SimulatedScheduler,
        _ ask: (@escaping @Sendable (Result<Value, StoreError>) -> Void) -> any Cancellable
    ) -> Result<Value, StoreError>? {
        let answer = Answer<Value>()
        let call = ask { answer.take($0) }
        scheduler.runUntilIdle()
        _ = call
        return answer.value
    }
}

extension Result where Failure == StoreError {
    var failureKind: StoreError.Kind? {
        if case .failure(let error) = self { error.kind } else { nil }
    }
}

/// A body in memory.
final class MemoryBody: UploadBody {
    private let bytes: Mutex<[UInt8]>
    let size: Int64

    init(_ bytes: [UInt8]) {
        self.bytes = Mutex(bytes)
        size = Int64(bytes.count)
    }

    func change(at offset: Int, to byte: UInt8) { bytes.withLock { $0[offset] = byte } }

    func read(at offset: Int64, into memory: UnsafeMutableRawBufferPointer) -> Bool {
        bytes.withLock { memory.copyBytes(from: $0[Int(offset)..<Int(offset) + memory.count]) }
        return true
    }
}
