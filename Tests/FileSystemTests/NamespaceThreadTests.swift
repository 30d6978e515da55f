// Many threads at once, over a store that answers from a queue of its own.

import Dispatch
import FileSystem
import Logging
import Operations
import S3
import Scheduling
import Simulation
import Synchronization
import Testing

@testable import FileSystem

/// Runs work on concurrent threads.
final class ThreadedScheduler: Scheduler {
    private final class Never: ScheduledWork { func cancel() {} }
    private let start = ContinuousClock().now
    private let queue = DispatchQueue(label: "threads", attributes: .concurrent)
    var now: Duration { start.duration(to: ContinuousClock().now) }
    var unixTime: Duration { now }
    func run(_ work: @escaping @Sendable () -> Void) { queue.async(execute: work) }
    func after(_ delay: Duration, _ work: @escaping @Sendable () -> Void) -> any ScheduledWork {
        run(work)
        return Never()
    }
}

@Suite struct NamespaceThreadTests {
    @Test func everyAnswerComesAndTheTablesAgree() {
        let scheduler = ThreadedScheduler()
        let namespace = Namespace(
            configuration: NamespaceConfiguration(timeToLive: .milliseconds(5)),
            store: EndlessStore(scheduler: scheduler, total: 3500), scheduler: scheduler,
            notifier: RecordingNotifier(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let answered = Atomic<Int>(0)
        DispatchQueue.concurrentPerform(iterations: 4) { thread in
            for round in 0..<3 {
                let own = Array("own-\(thread)".utf8)
                let moved = Array("moved-\(thread)-\(round)".utf8)
                let made = namespace.add(
                    parent: 1, name: own, record: NamespaceWorld.file(), holding: true)!
                let opened = DispatchSemaphore(value: 0)
                let handle = Box<HandleNumber>()
                namespace.openDirectory(
                    inode: 1,
                    reply: Reply {
                        handle.set(try! $0.get().handle)
                        opened.signal()
                    })
                opened.wait()
                var rows: [DirectoryRow] = []
                while true {
                    let reply = WaitingReply()
                    namespace.readDirectory(
                        inode: 1, handle: handle.value!, offset: rows.last?.nextOffset ?? 0,
                        reply: reply)
                    reply.end.wait()
                    if reply.page.rows.isEmpty { break }
                    rows += reply.page.rows
                    namespace.change(made.inode) { $0.size += 1 }
                }
                _ = namespace.move(parent: 1, name: own, newParent: 1, newName: moved)
                namespace.settle(parent: 1, name: own)
                namespace.remove(parent: 1, name: moved)
                namespace.settle(parent: 1, name: moved)
                namespace.forget(inode: made.inode, count: 1)
                let isSeen = rows.contains { $0.name == own }
                #expect(isSeen, "a name made before the walk is in it")
                namespace.releaseDirectory(inode: 1, handle: handle.value!, reply: Reply { _ in })
                let listed = rows.map(\.name).filter { $0.starts(with: "photo-".utf8) }
                answered.add(Set(listed).count, ordering: .relaxed)
                #expect(Set(rows.map(\.name)).count == rows.count, "no name twice")
                for row in rows where row.hasEntry {
                    namespace.forget(inode: row.attributes.inode, count: 1)
                }
            }
        }
        #expect(answered.load(ordering: .relaxed) == 4 * 3 * 3500)
        let broken = namespace.locked { $0.brokenInvariants() }
        #expect(broken.isEmpty)
        #expect(namespace.memory.inodes == 1)
    }

    private final class WaitingReply: DirectoryReply {
        let end = DispatchSemaphore(value: 0)
        private let inner = PageReply(room: 700, plus: true)
        var page: PageReply.Page { inner.page }
        var plus: Bool { true }
        func add(
            name: some Collection<UInt8>, attributes: FileAttributes, entryTimeout: Duration?,
            attributesTimeout: Duration, nextOffset: UInt64
        ) -> Bool {
            inner.add(
                name: name, attributes: attributes, entryTimeout: entryTimeout,
                attributesTimeout: attributesTimeout, nextOffset: nextOffset)
        }
        func finish() {
            inner.finish()
            end.signal()
        }
        func fail(_ errno: Errno) {
            inner.fail(errno)
            end.signal()
        }
    }
}
