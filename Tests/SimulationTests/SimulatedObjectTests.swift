import S3
import Simulation
import Synchronization
import Testing

struct SimulatedObjectTests {
    let scheduler = SimulatedScheduler(seed: 1)
    let store: SimulatedStore
    let key = ObjectKey("a/b.jpg")

    init() { store = SimulatedStore(scheduler: scheduler, seed: 1) }

    private func get(_ range: Range<Int64>? = nil, ifMatch: ETag? = nil) -> Receiver {
        let receiver = Receiver()
        store.get(GetRequest(key: key, range: range, ifMatch: ifMatch), receiver: receiver)
        #expect(receiver.result == nil, "answered on the caller's stack")
        scheduler.runUntilIdle()
        return receiver
    }

    @Test func bodyArrivesInPiecesInOrder() throws {
        var generator = SeededGenerator(seed: 1)
        let bytes = generator.bytes(3_000_000)
        let etag = store.put(key, bytes, metadata: ["mtime": "1"], contentType: "image/jpeg")
        let receiver = get()
        try receiver.result?.get()
        #expect(receiver.bytes == bytes)
        #expect(receiver.pieces > 5)
        #expect(receiver.head?.etag == etag)
        #expect(receiver.head?.contentType == "image/jpeg")
        #expect(receiver.head?.metadata == ["mtime": "1"])
        #expect(store.bytesFetched == 3_000_000)
        #expect(store.requests.map(\.outcome) == [.succeeded])
    }

    @Test func rangesAreClampedAndBeyondTheEndRefused() {
        store.put(key, [0, 1, 2, 3, 4])
        #expect(get(1..<3).bytes == [1, 2])
        #expect(get(3..<99).bytes == [3, 4])
        #expect(get(3..<99).head?.size == 5)
        #expect(get(5..<6).failure == .invalidRange)
        store.put(key, [])
        #expect(get(0..<1).failure == .invalidRange)
        #expect(get().bytes == [])
        #expect(get().failure == nil)
    }

    @Test func errorsNameTheirCause() {
        #expect(get().failure == .notFound)
        let etag = store.put(key, [1])
        #expect(get(ifMatch: etag).failure == nil)
        store.put(key, [2])
        #expect(get(ifMatch: etag).failure == .preconditionFailed)
        store.put(key, [1], storageClass: StorageClass(rawValue: "GLACIER"))
        #expect(get(ifMatch: etag).failure == .archived)
        store.put(key, [1], storageClass: StorageClass(rawValue: "GLACIER"), isRestored: true)
        #expect(get(ifMatch: etag).failure == nil)
    }

    @Test func sameBytesHaveTheSameETag() {
        let first = store.put(key, [1, 2, 3])
        #expect(store.put(key, [1, 2, 4]) != first)
        #expect(store.put(key, [1, 2, 3]) == first)
        #expect(store.history(of: key).count == 3)
        store.delete(key)
        #expect(!store.delete(key))
        #expect(store.history(of: key).last?.object == nil)
    }

    @Test func scriptedFaultMeetsOneRequest() {
        store.put(key, Array(repeating: 7, count: 100))
        store.script(ScriptedFault(.get, key: key, error: .unavailable))
        store.script(ScriptedFault(.get, key: ObjectKey("other"), error: .unavailable))
        store.script(ScriptedFault(.get, key: key, error: .network, bytesBefore: 40))
        #expect(get().failure == .unavailable)
        let broken = get()
        #expect(broken.failure == .network)
        #expect(broken.bytes.count == 40)
        #expect(get().failure == nil)
        #expect(store.unusedScripts.count == 1)
    }

    @Test func roundTripIsExact() {
        store.put(key, [1])
        store.roundTrip = .milliseconds(30)
        #expect(get().result != nil)
        #expect(scheduler.now == .milliseconds(30))
        store.bandwidth = 1000
        store.put(key, Array(repeating: 1, count: 500))
        _ = get()
        #expect(scheduler.now == .milliseconds(30 + 30 + 500))
    }

    @Test func requestMeetsTheBucketHalfWay() {
        store.put(key, [1])
        store.roundTrip = .milliseconds(100)
        let receiver = Receiver()
        store.get(GetRequest(key: key), receiver: receiver)
        scheduler.advance(by: .milliseconds(60))
        store.put(key, [2])
        scheduler.runUntilIdle()
        #expect(receiver.bytes == [1])
    }

    @Test(arguments: [0, 20, 60, 110]) func cancelAnswersOnce(after wait: Int) {
        store.put(key, Array(repeating: 1, count: 1000))
        store.roundTrip = .milliseconds(100)
        store.faults.pieceSize = 10...10
        store.faults.pieceDelay = .milliseconds(5)...(.milliseconds(5))
        let receiver = Receiver()
        let call = store.get(GetRequest(key: key), receiver: receiver)
        scheduler.advance(by: .milliseconds(wait))
        call.cancel()
        call.cancel()
        #expect(receiver.result == nil, "answered on the caller's stack")
        scheduler.runReady()
        #expect(receiver.failure == .cancelled)
        scheduler.runUntilIdle()
        call.cancel()
        scheduler.runUntilIdle()
        #expect(receiver.finishes == 1)
        #expect(store.pendingRequests == 0)
    }

    @Test func changeInMidGetNeverMixesVersions() {
        let old = Array(repeating: UInt8(1), count: 1000)
        var outcomes: Set<StoreError.Kind?> = []
        store.faults.changeDuringGet = 1
        store.faults.pieceSize = 1...100
        for _ in 0..<100 {
            store.put(key, old)
            let receiver = get()
            outcomes.insert(receiver.failure)
            #expect(old.starts(with: receiver.bytes))
            #expect(receiver.failure != nil || receiver.bytes == old)
        }
        #expect(outcomes == [nil, .preconditionFailed])
    }

    @Test func roughPlanBringsEveryFault() {
        store.faults = .rough(errors: 0.05)
        var failures: Set<StoreError.Kind?> = []
        for _ in 0..<1000 {
            store.put(key, [1, 2, 3])
            failures.insert(get().failure)
        }
        #expect(
            failures.isSuperset(of: [
                nil, .unavailable, .timedOut, .network, .accessDenied, .preconditionFailed,
                .notFound,
            ]))
    }

    @Test func headTellsWithoutABody() throws {
        store.put(key, [1, 2, 3])
        let result = Slot<Result<ObjectHead, StoreError>>()
        store.head(key) { result.set($0) }
        scheduler.runUntilIdle()
        #expect(try result.value?.get().size == 3)
        store.head(ObjectKey("none")) { result.set($0) }
        scheduler.runUntilIdle()
        guard case .failure(let error)? = result.value else {
            Issue.record("no failure")
            return
        }
        #expect(error.kind == .notFound)
        #expect(store.count(.head) == 2)
    }
}

/// Keeps one value.
final class Slot<Value: Sendable>: Sendable {
    private let state = Mutex<Value?>(nil)
    var value: Value? { state.withLock { $0 } }
    func set(_ value: Value) { state.withLock { $0 = value } }
}

/// Collects one body and checks the order of calls.
final class Receiver: GetReceiver {
    private let state = Mutex(State())

    private struct State {
        var head: ObjectHead?
        var start: Int64?
        var bytes: [UInt8] = []
        var pieces = 0
        var finishes = 0
        var result: Result<Void, StoreError>?
    }

    var head: ObjectHead? { state.withLock { $0.head } }
    var bytes: [UInt8] { state.withLock { $0.bytes } }
    var pieces: Int { state.withLock { $0.pieces } }
    var finishes: Int { state.withLock { $0.finishes } }
    var result: Result<Void, StoreError>? { state.withLock { $0.result } }
    var failure: StoreError.Kind? {
        if case .failure(let error)? = result { error.kind } else { nil }
    }

    func receive(head: ObjectHead) {
        state.withLock { state in
            precondition(state.head == nil && state.result == nil)
            state.head = head
        }
    }

    func receive(bytes: UnsafeRawBufferPointer, at offset: Int64) {
        let copy = Array(bytes)
        state.withLock { state in
            precondition(state.head != nil && state.result == nil)
            let start = state.start ?? offset
            state.start = start
            precondition(start + Int64(state.bytes.count) == offset)
            state.bytes += copy
            state.pieces += 1
        }
    }

    func finish(_ result: Result<Void, StoreError>) {
        state.withLock { state in
            state.finishes += 1
            state.result = result
        }
    }
}
