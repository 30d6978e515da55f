import S3
import Simulation
import Testing

/// ListObjectsV2 of the simulated bucket against a naive reading of S3's rules.
struct SimulatedListTests {
    @Test(arguments: 0..<150) func pagesAgreeWithNaiveModel(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let scheduler = SimulatedScheduler(seed: seed)
        let store = SimulatedStore(scheduler: scheduler, seed: seed)
        for _ in 0..<Int.random(in: 0...60, using: &generator) {
            store.put(ObjectKey(Self.key(&generator)), [1])
        }
        if seed % 3 == 0 { store.faults.shortPages = 0.5 }
        for _ in 0..<10 {
            let request = ListRequest(
                prefix: Array(
                    Self.key(&generator).prefix(Int.random(in: 0...4, using: &generator))),
                delimited: Bool.random(using: &generator),
                startAfter: Int.random(in: 0...2, using: &generator) == 0
                    ? Self.key(&generator) : nil,
                maxKeys: Int.random(in: 1...5, using: &generator))
            let pages = try walk(request, store, scheduler)
            let expected = Self.naive(store.objects.map(\.key.bytes), request)
            #expect(pages.flatMap(\.entries).sorted(by: precedes) == expected, "seed \(seed)")
            for page in pages {
                #expect(page.entries.count <= request.maxKeys)
                #expect(page.objects.map(\.key) == page.objects.map(\.key).sorted())
                if page.nextToken != nil { #expect(!page.entries.isEmpty) }
            }
            let order = pages.map { $0.entries.sorted(by: precedes) }.flatMap { $0 }
            #expect(order == expected, "pages follow each other")
        }
    }

    @Test func noPageExceedsAThousandKeys() throws {
        let scheduler = SimulatedScheduler(seed: 0)
        let store = SimulatedStore(scheduler: scheduler, seed: 0)
        for index in 0..<2500 { store.put(ObjectKey("key\(index)"), []) }
        let pages = try walk(ListRequest(prefix: [], maxKeys: 5000), store, scheduler)
        #expect(pages.map(\.entries.count) == [1000, 1000, 500])
        #expect(store.count(.list) == 3)
    }

    @Test func foreignTokenIsRefused() {
        let scheduler = SimulatedScheduler(seed: 0)
        let store = SimulatedStore(scheduler: scheduler, seed: 0)
        let result = Slot<Result<ListPage, StoreError>>()
        store.list(ListRequest(prefix: [], continuationToken: "zz")) { result.set($0) }
        scheduler.runUntilIdle()
        #expect(throws: StoreError.self) { try result.value?.get() }
    }

    /// Short keys of few letters, so that prefixes, slashes and neighbours are frequent.
    private static func key(_ generator: inout SeededGenerator) -> [UInt8] {
        let letters = Array("ab/\u{0}".utf8) + [0xFF]
        let count = Int.random(in: 1...6, using: &generator)
        return (0..<count).map { _ in letters.randomElement(using: &generator)! }
    }

    private static func naive(_ keys: [[UInt8]], _ request: ListRequest) -> [[UInt8]] {
        var found: Set<[UInt8]> = []
        for key in keys where key.starts(with: request.prefix) {
            if let after = request.startAfter, !precedes(after, key) { continue }
            let rest = key.dropFirst(request.prefix.count)
            if request.delimited, let slash = rest.firstIndex(of: UInt8(ascii: "/")) {
                found.insert(Array(key[...slash]))
            } else {
                found.insert(key)
            }
        }
        return found.sorted(by: precedes)
    }

    private func walk(
        _ request: ListRequest, _ store: SimulatedStore, _ scheduler: SimulatedScheduler
    ) throws -> [ListPage] {
        var request = request
        var pages: [ListPage] = []
        repeat {
            let result = Slot<Result<ListPage, StoreError>>()
            store.list(request) { result.set($0) }
            #expect(result.value == nil, "answered on the caller's stack")
            scheduler.runUntilIdle()
            let page = try #require(try result.value?.get())
            pages.append(page)
            request.continuationToken = page.nextToken
        } while request.continuationToken != nil && pages.count < 200
        return pages
    }
}

private func precedes(_ a: [UInt8], _ b: [UInt8]) -> Bool { a.lexicographicallyPrecedes(b) }

extension ListPage {
    fileprivate var entries: [[UInt8]] { objects.map(\.key.bytes) + commonPrefixes }
}
