// Attributes are found again, bounded, shared, and never worth an error.

import BlockStore
import Foundation
import Testing

@Suite struct AttributeIndexTests {
    private func directory(_ cache: TestCache) throws -> String {
        try FileManager.default.createDirectory(
            atPath: cache.path, withIntermediateDirectories: true)
        return cache.path
    }

    private func entries(_ numbers: Range<Int>) -> [(key: [UInt8], etag: String, value: [UInt8])] {
        numbers.map { (Array("key \($0)".utf8), "etag \($0)", Array("value \($0)".utf8)) }
    }

    private func found(_ index: any AttributeIndex, _ numbers: Range<Int>) -> [Bool] {
        let asked = entries(numbers)
        let answers = index.find(store: "a", keys: asked.map { ($0.key, $0.etag) })
        return zip(asked, answers).map { $0.value == $1 }
    }

    @Test func findsWhatAnotherMountNotedAndOnlyThat() throws {
        let cache = TestCache()
        let one = DiskAttributeIndex(directory: try directory(cache), logger: cache.logger)
        let two = DiskAttributeIndex(directory: cache.path, logger: cache.logger)
        one.note(store: "a", entries: entries(0..<500))
        #expect(found(two, 0..<500).allSatisfy { $0 })
        #expect(two.find(store: "b", keys: [(Array("key 1".utf8), "etag 1")]) == [nil])
        #expect(two.find(store: "a", keys: [(Array("key 1".utf8), "etag 2")]) == [nil])
        two.note(store: "a", entries: [(Array("key 1".utf8), "etag 1", [])])
        #expect(one.find(store: "a", keys: [(Array("key 1".utf8), "etag 1")]) == [[]])
    }

    @Test func theLeastRecentlyUsedGo() throws {
        let cache = TestCache()
        let index = DiskAttributeIndex(
            directory: try directory(cache), rows: 100, logger: cache.logger)
        index.note(store: "a", entries: entries(0..<100))
        #expect(found(index, 0..<10).allSatisfy { $0 })
        index.note(store: "a", entries: entries(100..<150))
        #expect(found(index, 0..<10).allSatisfy { $0 }, "used lately")
        #expect(!found(index, 10..<60).contains(true))
        #expect(found(index, 60..<150).allSatisfy { $0 })
    }

    @Test func aDamagedFileIsMadeAnew() throws {
        let cache = TestCache()
        let path = try directory(cache) + "/attributes.sqlite"
        try Data(repeating: 0x55, count: 8192).write(to: URL(filePath: path))
        let index = DiskAttributeIndex(directory: cache.path, logger: cache.logger)
        index.note(store: "a", entries: entries(0..<5))
        #expect(found(index, 0..<5).allSatisfy { $0 })
        #expect(cache.log.withLock { $0.count } == 1)
    }
}
