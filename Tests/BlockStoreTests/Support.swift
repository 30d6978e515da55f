// A cache directory of a test's own, known bytes, and a memory that the store may read.

import BlockStore
import Foundation
import GRDB
import Logging
import Scheduling
import Synchronization
import Testing

/// A directory removed with the object, and a scheduler for its stores.
final class TestCache: Sendable {
    let path: String
    let scheduler = ThreadScheduler(threads: 3, name: "test")
    let log = Mutex<[String]>([])

    init(path: String? = nil) {
        self.path = path ?? NSTemporaryDirectory() + "pail-blocks-\(UUID().uuidString)"
    }

    deinit {
        scheduler.shutdown()
        try? FileManager.default.removeItem(atPath: path)
    }

    var logger: Logger { Logger(label: "test") { _ in TestLog(cache: self) } }

    func store(
        limit: Int64 = 1 << 30, keepFree: Int64 = 0, queueLimit: Int = 64 << 20,
        openFiles: Int = 256, clock: JumpingScheduler? = nil
    ) throws -> DiskBlockStore {
        try DiskBlockStore(
            directory: path, limit: limit, keepFree: keepFree, scheduler: clock ?? scheduler,
            logger: logger, queueLimit: queueLimit, openFiles: openFiles)
    }

    /// Processes the index knows of.
    var owners: Int {
        (try? database { try Int.fetchOne($0, sql: "SELECT count(*) FROM owners") }) ?? -1
    }

    /// Bytes that all processes have claimed, as the index says.
    func claims() throws -> Int64 {
        try database {
            try Int64.fetchOne($0, sql: "SELECT coalesce(sum(claimed), 0) FROM owners") ?? 0
        }
    }

    /// Sets an owner's claim behind its back.
    func claim(bytes: Int64, owner: (String) -> Bool) throws {
        try database { database in
            for id in try String.fetchAll(database, sql: "SELECT id FROM owners") where owner(id) {
                try database.execute(
                    sql: "UPDATE owners SET claimed = ? WHERE id = ?", arguments: [bytes, id])
            }
        }
    }

    private func database<Result>(_ work: (Database) throws -> Result) throws -> Result {
        var configuration = Configuration()
        configuration.busyMode = .timeout(5)
        return try DatabaseQueue(path: path + "/index.sqlite", configuration: configuration)
            .write(work)
    }

    /// Bytes on disk below objects/, as du counts them.
    var diskBytes: Int64 {
        var total: Int64 = 0
        for file in files("") {
            var status = stat()
            if lstat(file, &status) == 0 { total += Int64(status.st_blocks) * 512 }
        }
        return total
    }

    /// A tmpfs below the directory, or in its place; unmounted by the returned closure.
    func mount(_ folder: String = "", size: String) throws -> () -> Void {
        let place = folder.isEmpty ? path : "\(path)/\(folder)"
        try FileManager.default.createDirectory(
            atPath: place, withIntermediateDirectories: true)
        try #require(shell("mount -t tmpfs -o size=\(size) none \(place)") == 0)
        return { _ = shell("umount -l \(place)") }
    }

    /// A tmpfs for the objects alone.
    func mountObjects(size: String) throws -> () -> Void { try mount("objects", size: size) }

    /// Bytes in use on the file system of the objects, open files without a name included.
    var objectsInUse: Int64 {
        var status = statvfs()
        guard statvfs("\(path)/objects", &status) == 0 else { return 0 }
        return Int64(status.f_blocks - status.f_bfree) * Int64(status.f_frsize)
    }

    /// Paths of cached files with that ending.
    func files(_ suffix: String) -> [String] {
        let root = path + "/objects"
        let names = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
        return names.filter { $0.contains("/") && $0.hasSuffix(suffix) }.map { "\(root)/\($0)" }
    }

    /// Changes one byte of a file.
    func flip(_ file: String, at offset: Int64) {
        let fd = open(file, O_RDWR)
        defer { close(fd) }
        var byte: UInt8 = 0
        pread(fd, &byte, 1, Int(offset))
        byte ^= 0x10
        pwrite(fd, &byte, 1, Int(offset))
    }
}

struct TestLog: LogHandler {
    let cache: TestCache
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info
    init(cache: TestCache) { self.cache = cache }
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }
    func log(event: LogEvent) {
        cache.log.withLock { $0.append("\(event.message)") }
    }
}

/// Known bytes for every chunk of every object.
enum Known {
    static func identity(_ number: Int, size: Int64) -> ObjectIdentity {
        ObjectIdentity(
            store: "https://s3.test/bucket-\(number % 2)", key: Array("key-\(number)".utf8),
            etag: "etag-\(number)", size: size)
    }

    static func length(_ identity: ObjectIdentity, _ block: Int, _ chunks: Range<Int>) -> Int {
        let start = Int64(block) << 20 + Int64(chunks.lowerBound) << 14
        return Int(min(Int64(chunks.count) << 14, identity.size - start))
    }

    static func bytes(_ identity: ObjectIdentity, _ block: Int, _ chunks: Range<Int>) -> [UInt8] {
        var result: [UInt8] = []
        for chunk in chunks {
            var random = Seeded(
                UInt64(block * 64 + chunk) &* 977 &+ UInt64(identity.key.last ?? 0) &* 31)
            let word = random.next()
            let count = length(identity, block, chunk..<chunk + 1)
            let piece = withUnsafeBytes(of: word) { Array($0) }
            for _ in 0..<(count / 8) { result += piece }
            result += piece.prefix(count % 8)
        }
        return result
    }

    /// Stores chunks with the bytes known for them.
    static func put(
        _ object: any CachedObject, _ identity: ObjectIdentity, _ block: Int, _ chunks: Range<Int>
    ) {
        let bytes = bytes(identity, block, chunks)
        let memory = Memory(bytes.count)
        memory.pointer.copyMemory(from: bytes, byteCount: bytes.count)
        object.store(block: block, chunks: chunks, from: memory.pointer) {
            withExtendedLifetime(memory) {}
        }
    }

    enum Answer { case right, wrong, absent }

    static func check(
        _ object: any CachedObject, _ identity: ObjectIdentity, _ block: Int, _ chunks: Range<Int>
    ) -> Answer {
        let expected = bytes(identity, block, chunks)
        let memory = Memory(expected.count)
        guard object.read(block: block, chunks: chunks, into: memory.pointer) else {
            return .absent
        }
        return memcmp(memory.pointer, expected, expected.count) == 0 ? .right : .wrong
    }
}

final class Memory: @unchecked Sendable {
    let pointer: UnsafeMutableRawPointer
    init(_ count: Int) { pointer = .allocate(byteCount: max(count, 1), alignment: 4096) }
    deinit { pointer.deallocate() }
}

/// SplitMix64.
struct Seeded: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// The threads of another scheduler, and a clock that can be put forward.
final class JumpingScheduler: Scheduler {
    private let base: ThreadScheduler
    private let ahead = Mutex(Duration.zero)

    init(_ base: ThreadScheduler) { self.base = base }

    func jump(_ time: Duration) { ahead.withLock { $0 += time } }

    var now: Duration { base.now + ahead.withLock { $0 } }
    var unixTime: Duration { base.unixTime + ahead.withLock { $0 } }
    func run(_ work: @escaping @Sendable () -> Void) { base.run(work) }
    func after(_ delay: Duration, _ work: @escaping @Sendable () -> Void) -> any ScheduledWork {
        base.after(delay, work)
    }
}

func shell(_ command: String) -> Int32 {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", command]
    try? process.run()
    process.waitUntilExit()
    return process.terminationStatus
}

/// The threads of another scheduler; timers wait until the test lets them come due.
final class HeldTimers: Scheduler {
    private final class Timer: ScheduledWork {
        let work: Mutex<(@Sendable () -> Void)?>
        init(_ work: @escaping @Sendable () -> Void) { self.work = Mutex(work) }
        func cancel() { work.withLock { $0 = nil } }
    }

    private let base: ThreadScheduler
    private let timers = Mutex<[Timer]>([])

    init(_ base: ThreadScheduler) { self.base = base }

    var now: Duration { base.now }
    var unixTime: Duration { base.unixTime }
    func run(_ work: @escaping @Sendable () -> Void) { base.run(work) }
    func after(_ delay: Duration, _ work: @escaping @Sendable () -> Void) -> any ScheduledWork {
        let timer = Timer(work)
        timers.withLock { $0.append(timer) }
        return timer
    }

    /// Runs all that wait, on this thread.
    ///
    /// - Returns: how many there were.
    func comeDue() -> Int {
        let due = timers.withLock { timers in
            defer { timers = [] }
            return timers
        }
        return due.count { timer in
            let work = timer.work.withLock { $0.take() }
            work?()
            return work != nil
        }
    }
}
