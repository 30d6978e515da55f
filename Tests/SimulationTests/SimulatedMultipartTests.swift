import S3
import Simulation
import Testing

/// Multipart uploads of the simulated bucket follow S3's rules.
struct SimulatedMultipartTests {
    let scheduler = SimulatedScheduler(seed: 1)
    let store: SimulatedStore
    let key = ObjectKey("big")

    init() {
        store = SimulatedStore(scheduler: scheduler, seed: 2)
        store.server.smallestPart = 10
    }

    private func create(headers: ObjectHeaders = ObjectHeaders()) throws -> MultipartUpload {
        try #require(
            Answer.of(scheduler) { store.createUpload(key, headers: headers, completion: $0) }
        ).get()
    }

    private func send(
        _ upload: MultipartUpload, _ number: Int, _ bytes: [UInt8]
    ) throws -> UploadedPart {
        try #require(
            Answer.of(scheduler) {
                store.uploadPart(
                    upload, number: number, body: MemoryBody(bytes), completion: $0)
            }
        ).get()
    }

    private func complete(
        _ upload: MultipartUpload, _ parts: [UploadedPart], _ condition: WriteCondition = .none
    ) -> Result<WrittenObject, StoreError>? {
        Answer.of(scheduler) {
            store.completeUpload(upload, parts: parts, condition: condition, completion: $0)
        }
    }

    private func copy(
        _ upload: MultipartUpload, _ number: Int, _ source: CopySource, _ range: Range<Int64>
    ) -> Result<UploadedPart, StoreError>? {
        Answer.of(scheduler) {
            store.copyPart(
                upload, number: number, source: source, range: range, completion: $0)
        }
    }

    @Test func partsBecomeAnObjectInTheirOrder() throws {
        let upload = try create(headers: ObjectHeaders(metadata: ["mtime": "1"]))
        scheduler.advance(by: .seconds(100))
        let ten = [UInt8](repeating: 1, count: 10)
        let third = try send(upload, 3, [9])
        _ = try send(upload, 1, [5])
        let first = try send(upload, 1, ten)
        #expect(store.object(key) == nil)
        #expect(store.uploads.map(\.parts) == [[1: 10, 3: 1]])
        #expect(complete(upload, [third, first])?.error?.code == "InvalidPartOrder")
        let lying = UploadedPart(number: 1, etag: ETag("x"), size: 10)
        #expect(complete(upload, [lying, third])?.error?.code == "InvalidPart")
        let written = try #require(complete(upload, [first, third])).get()
        let object = try #require(store.object(key))
        #expect(object.bytes == ten + [9])
        #expect(object.metadata == ["mtime": "1"])
        #expect(object.etag == written.etag && written.etag.text.hasSuffix("-2"))
        // LastModified is when the upload was created; the answer's Date is not.
        #expect(written.modified == object.modified + 100_000_000_000)
        #expect(store.uploads.isEmpty)
        #expect(complete(upload, [first, third])?.failureKind == .noSuchUpload)
        // A copy is an object put at once.
        let request = CopyRequest(
            source: CopySource(key: key, etag: written.etag), key: ObjectKey("copy"))
        let copied = try #require(Answer.of(scheduler) { store.copy(request, completion: $0) })
        #expect(try !copied.get().etag.text.contains("-"))
    }

    @Test func smallPartsAreRefusedButForTheLast() throws {
        let upload = try create()
        let parts = [try send(upload, 1, [1]), try send(upload, 2, [2])]
        #expect(complete(upload, parts)?.error?.code == "EntityTooSmall")
        #expect(complete(upload, [])?.error?.code == "MalformedXML")
        #expect(complete(upload, [parts[1]])?.failureKind == nil)
        #expect(store.object(key)?.bytes == [2])
    }

    @Test func failedConditionKeepsTheUpload() throws {
        let upload = try create()
        let part = try send(upload, 1, [1])
        let etag = store.put(key, [8])
        #expect(complete(upload, [part], .absent)?.failureKind == .preconditionFailed)
        #expect(store.object(key)?.bytes == [8] && store.uploads.count == 1)
        let listed = try #require(
            Answer.of(scheduler) { store.listParts(upload, completion: $0) })
        #expect(try listed.get().map(\.etag) == [part.etag])
        #expect(complete(upload, [part], .matches(etag))?.failureKind == nil)
        #expect(store.history(of: key).map(\.cause) == [nil, .completeUpload])
    }

    @Test func abortedUploadIsGone() throws {
        let upload = try create()
        _ = try send(upload, 1, [1])
        for _ in 0..<2 {
            let aborted = Answer.of(scheduler) { store.abortUpload(upload, completion: $0) }
            #expect(aborted != nil && aborted?.failureKind == nil)
        }
        #expect(store.uploads.isEmpty)
        #expect(throws: StoreError.self) { try send(upload, 1, [1]) }
    }

    @Test func rangesAreCopiedWhereTheServerCan() throws {
        let source = store.put(ObjectKey("source"), Array(0..<30))
        let upload = try create()
        let from = CopySource(key: ObjectKey("source"), etag: source)
        let part = try #require(copy(upload, 1, from, 5..<25)).get()
        #expect(copy(upload, 2, from, 20..<31)?.failureKind == .invalidRange)
        let stale = CopySource(key: ObjectKey("source"), etag: ETag("old"))
        #expect(copy(upload, 2, stale, 0..<5)?.failureKind == .preconditionFailed)
        #expect(complete(upload, [part])?.failureKind == nil)
        #expect(store.object(key)?.bytes == Array(5..<25))
        store.server.hasPartCopy = false
        #expect(copy(try create(), 1, from, 5..<25)?.failureKind == .notImplemented)
        #expect(store.capabilities.partCopy == false)
    }
}

extension Result where Failure == StoreError {
    fileprivate var error: StoreError? {
        if case .failure(let error) = self { error } else { nil }
    }
}
