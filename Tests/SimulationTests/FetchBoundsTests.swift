import Buffers
import FileSystem
import Logging
import Operations
import S3
import Simulation
import Testing

/// What usual ways of reading cost in requests, bytes and round trips. Counted, never timed.
struct FetchBoundsTests {
    let scheduler = SimulatedScheduler(seed: 1)
    let store: SimulatedStore
    let driver: FileSystemDriver
    let fileSystem: FileSystem
    let roundTrip = Duration.milliseconds(30)

    init() {
        store = SimulatedStore(scheduler: scheduler, seed: 1)
        store.roundTrip = roundTrip
        fileSystem = FileSystem(
            configuration: FileSystemConfiguration(
                namespace: NamespaceConfiguration(), storeName: "simulated/bucket"),
            store: store, blocks: nil, pool: BufferPool(limit: 64 << 20), scheduler: scheduler,
            notifier: nil, logger: Logger(label: "simulation") { _ in SwiftLogNoOpLogHandler() })
        driver = FileSystemDriver(fileSystem, scheduler: scheduler)
    }

    private func put(_ count: Int, bytes: Int) {
        var generator = SeededGenerator(seed: 1)
        for index in 0..<count {
            store.put(ObjectKey("dir/img-\(1000 + index).jpg"), generator.bytes(bytes))
        }
    }

    @Test func wholeFileIsFetchedOnce() throws {
        var generator = SeededGenerator(seed: 1)
        let bytes = generator.bytes(40 << 20)
        store.put(ObjectKey("big"), bytes)
        #expect(try driver.contents(of: "big") == bytes)
        scheduler.advance(by: .seconds(1))
        #expect(store.bytesFetched == 40 << 20)
        // A small first request, then pieces of some MiB.
        #expect(store.count(.get) <= 20, "\(store.count(.get)) requests")
    }

    @Test func coldOpenOfASmallFileIsOneRequestAndOneRoundTrip() throws {
        put(20, bytes: 100 << 10)
        let names = try driver.names(driver.walk("dir").inode)
        scheduler.advance(by: .seconds(1))
        store.resetRequests()
        let start = scheduler.now
        let handle = try driver.open(names[7].attributes.inode).handle
        #expect(try driver.read(handle, offset: 0, size: 4096).count == 4096)
        #expect(scheduler.now - start == roundTrip)
        _ = try driver.readAll(handle)
        #expect(store.requests.map(\.operation) == [.get])
    }

    @Test func unknownPathIsOneRoundTripForEachName() throws {
        put(5, bytes: 100)
        let start = scheduler.now
        _ = try driver.walk("dir/img-1003.jpg")
        #expect(scheduler.now - start == roundTrip * 2)
    }

    @Test func walkInListingOrderFetchesLittleForNothing() throws {
        put(400, bytes: 20_000)
        let start = scheduler.now
        for name in try driver.names(driver.walk("dir").inode) {
            let handle = try driver.open(name.attributes.inode).handle
            #expect(try driver.readAll(handle).count == 20_000)
            try driver.close(handle)
        }
        // Far less than a round trip for each file, and every byte once.
        #expect(scheduler.now - start < roundTrip * 400 / 5)
        scheduler.advance(by: .seconds(1))
        #expect(store.bytesFetched == 400 * 20_000)
        #expect(store.count(.get) == 400)
    }

    @Test(arguments: [3, 5, 9, 50]) func brokenWalkWastesAtMostItsShare(opened: Int) throws {
        put(400, bytes: 20_000)
        for name in try driver.names(driver.walk("dir").inode).prefix(opened) {
            let handle = try driver.open(name.attributes.inode).handle
            _ = try driver.readAll(handle)
            try driver.close(handle)
        }
        scheduler.advance(by: .seconds(1))
        let wasted = store.count(.get) - opened
        #expect(wasted <= max(8, opened / 10), "\(wasted) files for nothing")
    }

    @Test func randomReadsFetchLittleMoreThanTheyNeed() throws {
        var generator = SeededGenerator(seed: 2)
        store.put(ObjectKey("big"), generator.bytes(64 << 20))
        let handle = try driver.open(driver.walk("big").inode).handle
        scheduler.advance(by: .seconds(1))
        store.resetRequests()
        for _ in 0..<200 {
            let offset = Int64.random(in: 0..<(64 << 20) / 4096, using: &generator) * 4096
            #expect(try driver.read(handle, offset: offset, size: 4096).count == 4096)
        }
        scheduler.advance(by: .seconds(1))
        #expect(store.bytesFetched <= 8 * 200 * 4096, "\(store.bytesFetched) bytes")
    }
}
