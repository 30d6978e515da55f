// What 100,000 names cost, and an endless bucket to measure it with.

import FileSystem
import Glibc
import Logging
import Operations
import S3
import Scheduling
import Simulation
import Testing

/// Lists `count` objects with MD5 ETags in pages of 1,000, made up as they are asked for.
final class EndlessStore: ObjectStore {
    let scheduler: any Scheduler
    let total: Int
    init(scheduler: any Scheduler, total: Int) {
        self.scheduler = scheduler
        self.total = total
    }

    final class Nothing: Cancellable { func cancel() {} }

    func list(
        _ request: ListRequest,
        completion: @escaping @Sendable (Result<ListPage, StoreError>) -> Void
    ) -> any Cancellable {
        scheduler.run { [total] in
            let start = request.continuationToken.flatMap { Int($0) } ?? 0
            let end = min(total, start + 1000)
            let objects = (start..<end).map { index in
                let hex = String(UInt64(index + 1) &* 0x9E37_79B9_7F4A_7C15 | 1 << 63, radix: 16)
                return ObjectSummary(
                    key: ObjectKey("photo-\(1_000_000 + index)-name.jpg"),
                    size: 1000 + Int64(index),
                    etag: ETag(hex + hex), modified: 1_700_000_000_000_000_000)
            }
            completion(
                .success(
                    ListPage(
                        objects: objects, commonPrefixes: [],
                        nextToken: end < total ? String(end) : nil)))
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

@Suite(.serialized) struct NamespaceMemoryTests {
    final class PackedReply: DirectoryReply {
        let end = Box<Bool>()
        let room = Box<Int>()
        let last = Box<UInt64>()
        init() { room.set(6000) }
        var plus: Bool { true }
        func add(
            name: some Collection<UInt8>, attributes: FileAttributes, entryTimeout: Duration?,
            attributesTimeout: Duration, nextOffset: UInt64
        ) -> Bool {
            let left = room.value!
            if left == 0 { return false }
            room.set(left - 1)
            last.set(nextOffset)
            return true
        }
        func finish() { end.set(true) }
        func fail(_ errno: Errno) { fatalError("\(errno)") }
    }

    @Test func aHundredThousandNamesTheKernelHoldsAreCompact() throws {
        let total = 100_000
        let scheduler = SimulatedScheduler(seed: 1)
        let store = EndlessStore(scheduler: scheduler, total: total)
        let namespace = Namespace(
            configuration: NamespaceConfiguration(), store: store, scheduler: scheduler,
            notifier: nil, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let before = residentBytes()
        let handle = Box<HandleNumber>()
        namespace.openDirectory(inode: 1, reply: Reply { handle.set(try! $0.get().handle) })
        let clock = ContinuousClock()
        let elapsed = clock.measure {
            var offset: UInt64 = 0
            while true {
                let reply = PackedReply()
                namespace.readDirectory(
                    inode: 1, handle: handle.value!, offset: offset, reply: reply)
                while reply.end.value == nil { scheduler.step() }
                guard let last = reply.last.value else { break }
                offset = last
            }
        }
        let memory = namespace.memory
        let growth = residentBytes() - before
        let each = memory.held / total
        print(
            "100,000 names, all held: \(each) bytes each, RSS grew by \(growth >> 20) MiB, "
                + "\(elapsed) in this build")
        #expect(memory.inodes == total + 1)
        #expect(each <= 250)
        #expect(growth < 60 << 20)
        for inode in UInt64(2)...UInt64(total + 1) { namespace.forget(inode: inode, count: 1) }
        #expect(namespace.memory.inodes == 1)
        #expect(namespace.memory.held < 20_000_000)
    }

    private func residentBytes() -> Int {
        let file = fopen("/proc/self/statm", "r")
        defer { fclose(file) }
        var text = [CChar](repeating: 0, count: 128)
        _ = fread(&text, 1, 127, file)
        let fields = String(decoding: text.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            .split(separator: " ")
        return Int(fields[1])! * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
}
