// A bucket that answers from many threads, after delays of less than a millisecond, and whose calls
// hold their receiver for as long as they live, as the real client's do. Now and then a body breaks
// off for good, or an object is replaced.
//
// Locks: the bucket's and each call's mutex, both leaves; receivers are called under neither.

import Operations
import S3
import Scheduling
import Simulation
import Synchronization
import Testing

@testable import FileSystem

/// `directories` directories of `files` files, of sizes from nothing to three blocks.
final class ThreadedStore: ObjectStore {
    static let directories = 3
    static let files = 6

    let scheduler: any Scheduler
    private let noise: [UInt8]
    private let state: Mutex<State>

    private struct State {
        var versions: [ObjectKey: Int] = [:]
        var generator: SeededGenerator
        var calls = 0
    }

    init(scheduler: any Scheduler, seed: UInt64) {
        self.scheduler = scheduler
        var generator = SeededGenerator(seed: seed)
        noise = generator.bytes(5 << 20)
        var versions: [ObjectKey: Int] = [:]
        for directory in 0..<Self.directories {
            for file in 0..<Self.files { versions[ObjectKey("d\(directory)/f\(file)")] = 0 }
        }
        state = Mutex(State(versions: versions, generator: generator))
    }

    // MARK: What is in it

    /// The same in every version: a handle may find the next version under its inode.
    static func size(of key: ObjectKey) -> Int {
        let number = Int(key.bytes[1] - 48) * files + Int(key.bytes[4] - 48)
        return [0, 1, 100, 16 << 10, (16 << 10) + 1, 300_000, 1 << 20, 1_500_000, 3 << 20][
            number % 9]
    }

    /// The bytes of one version.
    func bytes(_ key: ObjectKey, version: Int) -> ArraySlice<UInt8> {
        let start =
            (Int(key.bytes[1]) * 7919 + Int(key.bytes[4]) * 10_007 + version * 4099) % (2 << 20)
        return noise[start..<start + Self.size(of: key)]
    }

    func version(of key: ObjectKey) -> Int { state.withLock { $0.versions[key]! } }

    /// Replaces an object.
    func replace(_ key: ObjectKey) { state.withLock { $0.versions[key]! += 1 } }

    /// Calls that were not answered yet.
    var pending: Int { state.withLock { $0.calls } }

    func chance(_ probability: Double) -> Bool {
        state.withLock { $0.generator.chance(probability) }
    }

    private func summary(_ key: ObjectKey, _ version: Int) -> ObjectSummary {
        ObjectSummary(
            key: key, size: Int64(Self.size(of: key)), etag: ETag("\(key)-\(version)"),
            modified: Int64(version) * 1_000_000_000)
    }

    func head(_ key: ObjectKey, _ version: Int) -> ObjectHead {
        let summary = summary(key, version)
        return ObjectHead(
            key: key, size: summary.size, etag: summary.etag, modified: summary.modified)
    }

    // MARK: Calls

    func later(_ work: @escaping @Sendable () -> Void) {
        let delay = state.withLock { $0.generator.duration(in: .zero...(.microseconds(900))) }
        if delay < .microseconds(300) { scheduler.run(work) } else { scheduler.after(delay, work) }
    }

    func began() { state.withLock { $0.calls += 1 } }
    func ended() { state.withLock { $0.calls -= 1 } }

    final class Once: Cancellable { func cancel() {} }

    func list(
        _ request: ListRequest,
        completion: @escaping @Sendable (Result<ListPage, StoreError>) -> Void
    ) -> any Cancellable {
        began()
        later { [self] in
            let page = page(request)
            ended()
            completion(.success(page))
        }
        return Once()
    }

    private func page(_ request: ListRequest) -> ListPage {
        let versions = state.withLock { $0.versions }
        var rows: [(bytes: [UInt8], object: ObjectSummary?)] = []
        for (key, version) in versions.sorted(by: { $0.key < $1.key })
        where key.bytes.starts(with: request.prefix) {
            let rest = key.bytes[request.prefix.count...]
            if request.delimited, let slash = rest.firstIndex(of: UInt8(ascii: "/")) {
                let group = Array(key.bytes[...slash])
                if rows.last?.bytes != group { rows.append((group, nil)) }
            } else {
                rows.append((key.bytes, summary(key, version)))
            }
        }
        if let after = request.startAfter {
            rows.removeAll { !after.lexicographicallyPrecedes($0.bytes) }
        }
        // Small pages, so that a directory takes more than one.
        let start = request.continuationToken.flatMap { Int($0) } ?? 0
        let end = min(rows.count, start + min(request.maxKeys, 4))
        let part = rows[min(start, end)..<end]
        return ListPage(
            objects: part.compactMap(\.object),
            commonPrefixes: part.filter { $0.object == nil }.map(\.bytes),
            nextToken: end < rows.count ? String(end) : nil)
    }

    func head(
        _ key: ObjectKey,
        completion: @escaping @Sendable (Result<ObjectHead, StoreError>) -> Void
    ) -> any Cancellable {
        began()
        later { [self] in
            let version = state.withLock { $0.versions[key] }
            ended()
            completion(
                version.map { .success(head(key, $0)) }
                    ?? .failure(
                        StoreError(kind: .notFound, operation: "HeadObject", message: "none")))
        }
        return Once()
    }

    func get(_ request: GetRequest, receiver: any GetReceiver) -> any Cancellable {
        began()
        let call = ThreadedGet(store: self, request: request, receiver: receiver)
        later { call.begin() }
        return call
    }

    func url(of key: ObjectKey) -> String { "" }
}

/// A GET that hands over its body piece by piece, each from whichever thread is free.
final class ThreadedGet: Cancellable {
    private let store: ThreadedStore
    private let request: GetRequest
    /// Held to the end of this object's life, not only of the call: a receiver that keeps the call
    /// keeps itself and its memory.
    private let receiver: any GetReceiver
    private let isCancelled = Atomic<Bool>(false)

    init(store: ThreadedStore, request: GetRequest, receiver: any GetReceiver) {
        self.store = store
        self.request = request
        self.receiver = receiver
    }

    func cancel() { isCancelled.store(true, ordering: .relaxed) }

    func begin() {
        let version = store.version(of: request.key)
        let head = store.head(request.key, version)
        if let wanted = request.ifMatch, wanted != head.etag {
            return finish(.preconditionFailed)
        }
        receiver.receive(head: head)
        let range = (request.range ?? 0..<head.size).clamped(to: 0..<head.size)
        send(store.bytes(request.key, version: version), range)
    }

    private func send(_ bytes: ArraySlice<UInt8>, _ range: Range<Int64>) {
        store.later { [self] in
            if isCancelled.load(ordering: .relaxed) { return finish(.cancelled) }
            if store.chance(0.003) { return finish(.accessDenied) }
            let end = min(range.lowerBound + 100_000, range.upperBound)
            let first = bytes.startIndex + Int(range.lowerBound)
            bytes[first..<first + Int(end - range.lowerBound)].withUnsafeBytes {
                receiver.receive(bytes: $0, at: range.lowerBound)
            }
            if end < range.upperBound { return send(bytes, end..<range.upperBound) }
            store.ended()
            receiver.finish(.success(()))
        }
    }

    private func finish(_ kind: StoreError.Kind) {
        store.ended()
        receiver.finish(
            .failure(StoreError(kind: kind, operation: "GetObject", message: "a fault")))
    }
}
