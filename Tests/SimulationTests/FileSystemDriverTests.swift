import Buffers
import Glibc
import Operations
import Simulation
import Testing

/// The driver against a file system of three names that answers late, or never.
struct FileSystemDriverTests {
    let scheduler = SimulatedScheduler(seed: 1)

    @Test func lookupsAreCountedUntilForgotten() throws {
        let sample = SampleFileSystem(scheduler: scheduler)
        let driver = FileSystemDriver(sample, scheduler: scheduler)
        let file = try driver.walk("b")
        #expect(file.size == 5)
        #expect(try driver.names(FileSystemDriver.root, limit: 2).map(\.text) == ["a", "b", "c"])
        #expect(driver.lookups == [10: 1, 11: 2, 12: 1])
        driver.forget(11, count: 1)
        #expect(driver.lookups[11] == 1)
        driver.forgetAll()
        #expect(driver.lookups.isEmpty)
        #expect(throws: Errno.noEntry) { try driver.walk("none") }
        #expect(driver.unanswered.isEmpty && driver.openDirectories.isEmpty)
    }

    @Test func filesAreReadInPieces() throws {
        let driver = FileSystemDriver(SampleFileSystem(scheduler: scheduler), scheduler: scheduler)
        let handle = try driver.open(11).handle
        #expect(try driver.readAll(handle, size: 2) == Array("hello".utf8))
        #expect(driver.openFiles == [handle: 11])
        try driver.close(handle)
        #expect(driver.openFiles.isEmpty)
        #expect(throws: Errno.badHandle) { try driver.close(handle) }
    }

    @Test func droppedReplyShowsAsNeverAnswered() {
        let driver = FileSystemDriver(
            SampleFileSystem(scheduler: scheduler, dropsLookups: true), scheduler: scheduler)
        #expect(throws: Errno(rawValue: EDEADLK)) { try driver.lookup(1, "a") }
        #expect(driver.unanswered == ["lookup 1 a"])
    }

    @Test func interruptedLookupCountsNothing() {
        let driver = FileSystemDriver(SampleFileSystem(scheduler: scheduler), scheduler: scheduler)
        let pending = driver.beginLookup(1, Array("a".utf8))
        #expect(pending.interrupt())
        #expect(!pending.interrupt())
        scheduler.runUntilIdle()
        #expect(throws: Errno.interrupted) { try pending.result?.get() }
        #expect(driver.lookups.isEmpty && driver.unanswered.isEmpty)
    }
}

/// A root with the files a, b and c, each with the bytes "hello".
private final class SampleFileSystem: FileOperations {
    private let scheduler: SimulatedScheduler
    private let dropsLookups: Bool
    private let pool = BufferPool(limit: BufferPool.leastLimit)
    private let names = ["a", "b", "c"]

    init(scheduler: SimulatedScheduler, dropsLookups: Bool = false) {
        self.scheduler = scheduler
        self.dropsLookups = dropsLookups
    }

    private func attributes(_ inode: InodeNumber) -> FileAttributes {
        FileAttributes(
            inode: inode, kind: inode == 1 ? .directory : .file, permissions: 0o644, uid: 0,
            gid: 0, size: inode == 1 ? 0 : 5, modified: 0)
    }

    func lookup(parent: InodeNumber, name: [UInt8], reply: Reply<EntryAnswer>) {
        if dropsLookups { return }
        let index = names.firstIndex(of: String(decoding: name, as: UTF8.self))
        let found = index.map { attributes(10 + InodeNumber($0)) }
        scheduler.after(.milliseconds(10)) {
            reply.succeed(
                EntryAnswer(attributes: found, entryTimeout: .zero, attributesTimeout: .zero))
        }
    }

    func readDirectory(
        inode: InodeNumber, handle: HandleNumber, offset: UInt64, reply: any DirectoryReply
    ) {
        for index in Int(offset)..<max(names.count, Int(offset)) {
            let isAdded = reply.add(
                name: Array(names[index].utf8), attributes: attributes(10 + InodeNumber(index)),
                entryTimeout: .zero, attributesTimeout: .zero, nextOffset: UInt64(index + 1))
            if !isAdded { break }
        }
        reply.finish()
    }

    func read(
        inode: InodeNumber, handle: HandleNumber, offset: Int64, size: Int,
        reply: Reply<ReadAnswer>
    ) {
        let bytes = Array("hello".utf8).dropFirst(Int(offset)).prefix(size)
        pool.take(fitting: 5) { buffer in
            buffer.pointer.copyMemory(from: Array(bytes), byteCount: bytes.count)
            reply.succeed(
                ReadAnswer(pieces: [.init(buffer: buffer, offset: 0, count: bytes.count)]))
        }
    }

    func forget(inode: InodeNumber, count: UInt64) {}
    func getAttributes(
        inode: InodeNumber, handle: HandleNumber?, reply: Reply<AttributesAnswer>
    ) { reply.succeed(AttributesAnswer(attributes: attributes(inode), timeout: .zero)) }
    func readLink(inode: InodeNumber, reply: Reply<[UInt8]>) { reply.fail(.invalid) }
    func open(inode: InodeNumber, flags: Int32, reply: Reply<OpenAnswer>) {
        reply.succeed(OpenAnswer(handle: 7))
    }
    func flush(inode: InodeNumber, handle: HandleNumber, reply: Reply<Void>) { reply.succeed() }
    func release(inode: InodeNumber, handle: HandleNumber, reply: Reply<Void>) { reply.succeed() }
    func openDirectory(inode: InodeNumber, reply: Reply<OpenAnswer>) {
        reply.succeed(OpenAnswer(handle: 8))
    }
    func releaseDirectory(inode: InodeNumber, handle: HandleNumber, reply: Reply<Void>) {
        reply.succeed()
    }
    func statFileSystem(inode: InodeNumber, reply: Reply<FileSystemStatistics>) {
        reply.fail(.notSupported)
    }
    func getExtendedAttribute(inode: InodeNumber, name: [UInt8], reply: Reply<[UInt8]>) {
        reply.fail(.noData)
    }
    func listExtendedAttributes(inode: InodeNumber, reply: Reply<[[UInt8]]>) {
        reply.succeed([])
    }
}
