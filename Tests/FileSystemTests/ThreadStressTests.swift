// The whole file system under real threads: what the simulation, on one thread, cannot see.
//
// Eight callers look up, open, read, interrupt, list and forget at once in the least memory a mount
// can have, over a store that answers from its own threads. Afterwards every byte was right, every
// answer was given and all memory is back. Under the thread sanitizer the same run shows races.

import Buffers
import Glibc
import Logging
import Operations
import Scheduling
import Simulation
import Synchronization
import Testing

@testable import FileSystem
@testable import S3

@Suite(.serialized) struct ThreadStressTests {
    @Test(arguments: [false, true])
    func manyThreadsGetRightBytesAndGiveAllBack(withBlocks: Bool) {
        let seed = UInt64.random(in: 0...UInt64.max)
        let stress = ThreadStress(seed: seed, withBlocks: withBlocks)
        stress.run(threads: 8, for: .seconds(2))
        let findings = stress.findings
        #expect(findings.isEmpty, "seed \(seed): \(findings.prefix(10))")
        // A run that did nothing proves nothing.
        let read = stress.bytesRead
        #expect(read > 4 << 20, "seed \(seed): only \(read) bytes read")
    }
}

/// One run.
final class ThreadStress: Sendable {
    private let seed: UInt64
    private let pool = BufferPool(limit: BufferPool.leastLimit)
    private let callers: ThreadScheduler
    private let workers = ThreadScheduler(threads: 4, name: "stress-fs")
    private let servers = ThreadScheduler(threads: 4, name: "stress-s3")
    private let store: ThreadedStore
    private let blocks: MemoryBlockStorage?
    private let books = Mutex(Books())
    private let read = Atomic<Int>(0)

    private struct Books {
        var findings: [String] = []
        var asked = 0
        var answered = 0
        var callers = 0
    }

    init(seed: UInt64, withBlocks: Bool) {
        self.seed = seed
        callers = ThreadScheduler(threads: 8, name: "stress-call")
        store = ThreadedStore(scheduler: servers, seed: seed)
        blocks = withBlocks ? MemoryBlockStorage(scheduler: workers, seed: seed) : nil
        var faults = BlockFaults.rough
        faults.delay = .zero...(.milliseconds(3))
        blocks?.faults = faults
    }

    var findings: [String] { books.withLock { $0.findings } }
    var bytesRead: Int { read.load(ordering: .relaxed) }

    func find(_ text: String) { books.withLock { $0.findings.append(text) } }
    func wasRead(_ bytes: Int) { read.add(bytes, ordering: .relaxed) }

    /// A reply that is counted; `take` gets its answer.
    ///
    /// - Parameter late: gives back what an answer after the interrupt counted.
    func reply<Value>(
        late: (@Sendable (Value) -> Void)? = nil,
        _ take: @escaping @Sendable (Result<Value, Errno>) -> Void
    ) -> Reply<Value> {
        books.withLock { $0.asked += 1 }
        return Reply(late: late) { [self] result in
            books.withLock { $0.answered += 1 }
            take(result)
        }
    }

    /// Runs `work` a little later on another thread.
    func meanwhile(_ work: @escaping @Sendable () -> Void) { servers.run(work) }

    func run(threads: Int, for time: Duration) {
        var fileSystem: FileSystem? = FileSystem(
            configuration: FileSystemConfiguration(
                namespace: NamespaceConfiguration(timeToLive: .milliseconds(5)), storeName: "s"),
            store: store, blocks: blocks, pool: pool, scheduler: workers,
            notifier: RecordingNotifier(),
            logger: Logger(label: "stress") { _ in SwiftLogNoOpLogHandler() })
        let end = callers.now + time
        books.withLock { $0.callers = threads }
        for number in 0..<threads {
            let caller = StressCaller(
                fileSystem!, stress: self, store: store, seed: seed &+ UInt64(number))
            callers.run { [self] in
                while callers.now < end, findings.isEmpty { caller.perform() }
                caller.end()
                books.withLock { $0.callers -= 1 }
            }
        }
        callers.shutdown()
        settle("answers") { books.withLock { $0.asked == $0.answered && $0.callers == 0 } }
        settle("requests") { store.pending == 0 && blocks?.pendingStores ?? 0 == 0 }
        fileSystem!.shutdown()
        weak let gone = fileSystem
        fileSystem = nil
        // What is kept for the next reader goes with the file system; a leak stays.
        settle("memory in use") { gone == nil && pool.used == 0 }
        workers.shutdown()
        servers.shutdown()
    }

    /// Waits until `isSettled`, or makes a finding of it.
    private func settle(_ what: String, _ isSettled: () -> Bool) {
        let end = workers.now + .seconds(StressCaller.patience)
        // After a finding nothing else can be told from what is left.
        while findings.isEmpty, !isSettled() {
            guard workers.now < end else {
                let (asked, answered) = books.withLock { ($0.asked, $0.answered) }
                return find(
                    "\(what) never settled: \(answered) of \(asked) answered, "
                        + "\(store.pending) requests, \(pool.used) bytes in use")
            }
            usleep(1000)
        }
    }
}
