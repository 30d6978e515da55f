import FileSystem
import Logging
import Operations
import S3
import Scheduling
import Simulation
import Synchronization
import Testing

/// Lists `f1000` to the last in short pages, and says early where the next page begins: often at another
/// place than the page itself says in the end, as after an answer that broke off and came anew.
private final class ForetellingStore: ObjectStore {
    static let names = (1000..<1500).map { "f\($0)" }
    final class Nothing: Cancellable { func cancel() {} }

    private let scheduler: any Scheduler
    private let generator: Mutex<SeededGenerator>
    private let asked = Mutex(0)
    var requests: Int { asked.withLock { $0 } }

    init(scheduler: any Scheduler, seed: UInt64) {
        self.scheduler = scheduler
        generator = Mutex(SeededGenerator(seed: seed))
    }

    func list(
        _ request: ListRequest,
        completion: @escaping @Sendable (Result<ListPage, StoreError>) -> Void
    ) -> any Cancellable { list(request, onNext: { _ in }, completion: completion) }

    func list(
        _ request: ListRequest, onNext: @escaping @Sendable (String) -> Void,
        completion: @escaping @Sendable (Result<ListPage, StoreError>) -> Void
    ) -> any Cancellable {
        asked.withLock { $0 += 1 }
        let start = request.continuationToken.map { Int($0)! } ?? 0
        let (end, foretold, early, late) = generator.withLock { generator in
            let end = min(Self.names.count, start + Int.random(in: 1...60, using: &generator))
            let other = min(Self.names.count - 1, start + Int.random(in: 1...60, using: &generator))
            return (
                end, generator.chance(0.3) ? other : end,
                Duration.milliseconds(Int.random(in: 1...40, using: &generator)),
                Duration.milliseconds(Int.random(in: 1...40, using: &generator))
            )
        }
        scheduler.after(early) { [scheduler] in
            if foretold < Self.names.count { onNext(String(foretold)) }
            scheduler.after(late) {
                let objects = Self.names[start..<end].map {
                    ObjectSummary(
                        key: ObjectKey($0), size: 1, etag: ETag("e"), modified: 1_700_000_000)
                }
                completion(
                    .success(
                        ListPage(
                            objects: objects, commonPrefixes: [],
                            nextToken: end < Self.names.count ? String(end) : nil)))
            }
        }
        return Nothing()
    }

    func head(
        _ key: ObjectKey,
        completion: @escaping @Sendable (Result<ObjectHead, StoreError>) -> Void
    ) -> any Cancellable { fatalError("no HEAD is needed") }

    func get(_ request: GetRequest, receiver: any GetReceiver) -> any Cancellable {
        fatalError("no GET is needed")
    }

    func url(of key: ObjectKey) -> String { "" }
}

struct ForetellingStoreTests {
    @Test func anEarlyTokenThatDoesNotHoldLosesAndRepeatsNoName() {
        for seed in UInt64(1)...60 {
            let scheduler = SimulatedScheduler(seed: seed)
            let store = ForetellingStore(scheduler: scheduler, seed: seed)
            let namespace = Namespace(
                configuration: NamespaceConfiguration(), store: store, scheduler: scheduler,
                notifier: nil, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            let handle = Box<HandleNumber>()
            namespace.openDirectory(inode: 1, reply: Reply { handle.set(try! $0.get().handle) })
            var names: [String] = []
            var offset: UInt64 = 0
            while true {
                let reply = PageReply(room: 40, plus: true)
                namespace.readDirectory(
                    inode: 1, handle: handle.value!, offset: offset, reply: reply)
                while reply.page.outcome == nil {
                    precondition(scheduler.step(), "nothing answers")
                }
                guard let last = reply.page.rows.last else { break }
                names += reply.page.rows.map(\.text)
                offset = last.nextOffset
            }
            #expect(Array(names.dropFirst(2)) == ForetellingStore.names, "seed \(seed)")
            // Late answers of what was asked for in vain change nothing and ask for nothing.
            let requests = store.requests
            while scheduler.step() {}
            #expect(store.requests == requests, "seed \(seed)")
        }
    }
}
