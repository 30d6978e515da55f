// A namespace over a simulated bucket, and a small kernel that asks it.

import FileSystem
import Logging
import Operations
import S3
import Scheduling
import Simulation
import Synchronization

/// Where an answer arrives.
final class Box<Value: Sendable>: Sendable {
    private let stored = Mutex<Value?>(nil)
    var value: Value? { stored.withLock { $0 } }
    func set(_ value: Value) { stored.withLock { $0 = value } }
}

/// What was told to the kernel.
final class RecordingNotifier: KernelNotifier {
    private let state = Mutex<(inodes: [InodeNumber], entries: [(InodeNumber, String)])>(([], []))
    var inodes: [InodeNumber] { state.withLock { $0.inodes } }
    var entries: [String] { state.withLock { $0.entries.map { "\($0.0)/\($0.1)" } } }
    func reset() { state.withLock { $0 = ([], []) } }
    func invalidateInode(_ inode: InodeNumber, offset: Int64, length: Int64) {
        state.withLock { $0.inodes.append(inode) }
    }
    func invalidateEntry(parent: InodeNumber, name: [UInt8]) {
        state.withLock { $0.entries.append((parent, String(decoding: name, as: UTF8.self))) }
    }
}

struct DirectoryRow: Sendable {
    var name: [UInt8]
    var attributes: FileAttributes
    var hasEntry: Bool
    var entryTimeout: Duration?
    var nextOffset: UInt64
    var text: String { String(decoding: name, as: UTF8.self) }
}

/// One page of a directory, of limited room.
final class PageReply: DirectoryReply {
    struct Page: Sendable {
        var rows: [DirectoryRow] = []
        var outcome: Result<Void, Errno>?
    }
    private let state = Mutex(Page())
    private let room: Int
    let plus: Bool

    init(room: Int, plus: Bool) {
        self.room = room
        self.plus = plus
    }

    var page: Page { state.withLock { $0 } }

    func add(
        name: some Collection<UInt8>, attributes: FileAttributes, entryTimeout: Duration?,
        attributesTimeout: Duration, nextOffset: UInt64
    ) -> Bool {
        state.withLock { page in
            precondition(page.outcome == nil)
            guard page.rows.count < room else { return false }
            page.rows.append(
                DirectoryRow(
                    name: Array(name), attributes: attributes, hasEntry: entryTimeout != nil,
                    entryTimeout: entryTimeout, nextOffset: nextOffset))
            return true
        }
    }
    func finish() { end(.success(())) }
    func fail(_ errno: Errno) { end(.failure(errno)) }
    private func end(_ outcome: Result<Void, Errno>) {
        state.withLock { page in
            precondition(page.outcome == nil, "answered twice")
            page.outcome = outcome
        }
    }
}

/// The simulated world of one test.
struct NamespaceWorld {
    let scheduler: SimulatedScheduler
    let store: SimulatedStore
    let notifier = RecordingNotifier()
    let namespace: Namespace

    init(
        seed: UInt64 = 1, rootPrefix: String = "", ttl: Duration? = .seconds(60),
        memoryLimit: Int = 32 << 20, roundTrip: Duration = .milliseconds(30),
        readsMetadata: Bool = false, attributes: BoundedAttributeMemory = BoundedAttributeMemory()
    ) {
        scheduler = SimulatedScheduler(seed: seed)
        store = SimulatedStore(scheduler: scheduler, seed: seed)
        store.roundTrip = roundTrip
        namespace = Namespace(
            configuration: NamespaceConfiguration(
                rootPrefix: Array(rootPrefix.utf8), timeToLive: ttl, uid: 10, gid: 20,
                memoryLimit: memoryLimit, mountTime: 77, readsMetadata: readsMetadata),
            store: store, scheduler: scheduler, notifier: notifier,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            attributes: attributes)
    }

    func put(_ key: String, _ text: String = "x") { store.put(ObjectKey(key), Array(text.utf8)) }

    /// Steps until the box is filled.
    func wait<Value>(_ box: Box<Value>) -> Value {
        while box.value == nil { precondition(scheduler.step(), "nothing answers") }
        return box.value!
    }

    func lookup(_ name: [UInt8], in parent: InodeNumber = 1) -> Result<FileAttributes?, Errno> {
        wait(startLookup(name, in: parent)).map(\.attributes)
    }

    func lookup(_ name: String, in parent: InodeNumber = 1) -> FileAttributes? {
        try? lookup(Array(name.utf8), in: parent).get()
    }

    func startLookup(
        _ name: [UInt8], in parent: InodeNumber = 1
    ) -> Box<Result<EntryAnswer, Errno>> {
        let box = Box<Result<EntryAnswer, Errno>>()
        namespace.lookup(parent: parent, name: name, reply: Reply { box.set($0) })
        return box
    }

    func attributes(_ inode: InodeNumber) -> Result<AttributesAnswer, Errno> {
        let box = Box<Result<AttributesAnswer, Errno>>()
        namespace.getAttributes(inode: inode, reply: Reply { box.set($0) })
        return wait(box)
    }

    func open(_ inode: InodeNumber = 1) throws -> OpenAnswer {
        let box = Box<Result<OpenAnswer, Errno>>()
        namespace.openDirectory(inode: inode, reply: Reply { box.set($0) })
        return try wait(box).get()
    }

    func release(_ inode: InodeNumber, _ handle: HandleNumber) {
        namespace.releaseDirectory(inode: inode, handle: handle, reply: Reply { _ in })
    }

    func read(
        _ inode: InodeNumber, _ handle: HandleNumber, at offset: UInt64, room: Int = 1000,
        plus: Bool = true
    ) throws -> [DirectoryRow] {
        let reply = PageReply(room: room, plus: plus)
        namespace.readDirectory(inode: inode, handle: handle, offset: offset, reply: reply)
        while reply.page.outcome == nil { precondition(scheduler.step(), "nothing answers") }
        let page = reply.page
        try page.outcome!.get()
        return page.rows
    }

    /// All names of a directory, without `.` and `..`.
    func list(
        _ inode: InodeNumber = 1, room: Int = 1000, plus: Bool = true
    ) throws -> [DirectoryRow] {
        let handle = try open(inode).handle
        defer { release(inode, handle) }
        var rows: [DirectoryRow] = []
        while true {
            let page = try read(
                inode, handle, at: rows.last?.nextOffset ?? 0, room: room, plus: plus)
            if page.isEmpty { return rows.filter { $0.text != "." && $0.text != ".." } }
            rows += page
        }
    }

    func attribute(_ name: String, of inode: InodeNumber) -> Result<String, Errno> {
        let box = Box<Result<[UInt8], Errno>>()
        namespace.getExtendedAttribute(
            inode: inode, name: Array(name.utf8), reply: Reply { box.set($0) })
        return wait(box).map { String(decoding: $0, as: UTF8.self) }
    }
}
