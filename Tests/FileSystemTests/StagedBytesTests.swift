// The pieces that hold a changed file's bytes, each against a model that is too simple to be wrong.

import BlockStore
import Buffers
import Simulation
import Synchronization
import Testing

@testable import FileSystem

@Suite struct StagedBytesTests {
    // MARK: Extents

    @Test(arguments: 1...40) func extentsAreWhatWasSet(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let sources: [ExtentMap.Source] = [.hole, .base, .clean, .dirty, .sent]
        // In units that cross the map's own regions of 16 MiB.
        let unit: Int64 = 3 << 20
        var map = ExtentMap(size: 5 * unit, source: .base)
        var model = [ExtentMap.Source](repeating: .base, count: 5)
        for step in 0..<120 {
            if generator.chance(0.2) {
                let size = Int.random(in: 0...24, using: &generator)
                map.truncate(to: Int64(size) * unit)
                model = Array((model + Array(repeating: .hole, count: 24)).prefix(size))
            } else {
                let start = Int.random(in: 0..<20, using: &generator)
                let end = Int.random(in: start...24, using: &generator)
                let source = sources.randomElement(using: &generator)!
                map.set(Int64(start) * unit..<Int64(end) * unit, source)
                if start < end {
                    model += Array(repeating: .hole, count: max(0, end - model.count))
                    for index in start..<end { model[index] = source }
                }
            }
            #expect(map.size == Int64(model.count) * unit, "seed \(seed) step \(step)")
            let shown = map.extents(in: 0..<map.size)
            var spelt: [ExtentMap.Source] = []
            for extent in shown {
                #expect(extent.range.lowerBound == Int64(spelt.count) * unit)
                spelt += Array(repeating: extent.source, count: Int(extent.range.count / Int(unit)))
            }
            #expect(spelt == model, "seed \(seed) step \(step)")
            let neighbours = zip(shown, shown.dropFirst())
            #expect(neighbours.allSatisfy { $0.source != $1.source })
            #expect(
                map.bytes([.dirty], in: 0..<map.size)
                    == Int64(model.count { $0 == .dirty }) * unit)
        }
    }

    @Test func manySmallWritesStayCheap() {
        var map = ExtentMap(size: 1 << 30, source: .base)
        for index in stride(from: 0, to: 1 << 30, by: 8192) {
            map.set(Int64(index)..<Int64(index) + 4096, .dirty)
        }
        #expect(map.bytes([.dirty], in: 0..<map.size) == 1 << 29)
    }

    // MARK: Parts

    @Test(arguments: [
        PartLayout(first: 8 << 20), PartLayout(first: 5 << 20),
        PartLayout(first: 7 << 20, isFixed: true),
    ])
    func partsFollowEachOther(layout: PartLayout) {
        var end: Int64 = 0
        let wrong = (1...10_000).filter { number in
            let range = layout.range(of: number)
            defer { end = range.upperBound }
            return range.lowerBound != end || range.count > 5 << 30
                || layout.number(containing: range.lowerBound) != number
                || layout.number(containing: range.upperBound - 1) != number
        }
        #expect(wrong.isEmpty)
        if !layout.isFixed, layout.first == 8 << 20 { #expect(layout.largestFile == 5 << 40) }
        #expect(layout.numbers(size: 0) == 1...1)
        #expect(layout.numbers(size: layout.first) == 1...1)
        #expect(layout.numbers(size: layout.first + 1) == 1...2)
    }

    // MARK: Memory before disk

    @Test(arguments: 1...30) func aPooledFileIsAFile(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let pool = BufferPool(limit: 16 << 20)
        // Held by others, so that some blocks find no room: those go to the disk.
        var others: [Buffer] = []
        let staging = ListStaging()
        let file = PooledFile(pool: pool, staging: staging)
        var model: [UInt8] = []
        for step in 0..<80 {
            switch Int.random(in: 0..<8, using: &generator) {
            case 0: try file.synchronize()
            case 1:
                let size = Int.random(in: 0...(6 << 20), using: &generator)
                try file.truncate(to: Int64(size))
                model = Array(model.prefix(size))
            case 2:
                let start = Int.random(in: 0...(6 << 20), using: &generator)
                let end = start + Int.random(in: 1...(2 << 20), using: &generator)
                file.punch(Int64(start)..<Int64(end))
                if start < model.count {
                    for index in start..<min(end, model.count) { model[index] = 0 }
                }
            case 3:
                while let buffer = pool.tryTake(fitting: 1 << 20) { others.append(buffer) }
            case 4: others = []
            default:
                let start = Int.random(in: 0...(5 << 20), using: &generator)
                let bytes = generator.bytes(
                    Int.random(in: 1...(generator.chance(0.5) ? 5000 : 1 << 20), using: &generator))
                try bytes.withUnsafeBytes { try file.write($0, at: Int64(start)) }
                if model.count < start + bytes.count {
                    model += Array(repeating: 0, count: start + bytes.count - model.count)
                }
                model.replaceSubrange(start..<start + bytes.count, with: bytes)
            }
            let start = Int.random(in: 0...(6 << 20), using: &generator)
            var seen = [UInt8](repeating: 7, count: Int.random(in: 1...300_000, using: &generator))
            try seen.withUnsafeMutableBytes { try file.read(at: Int64(start), into: $0) }
            let known =
                start < model.count ? model[start..<min(start + seen.count, model.count)] : []
            let isRight =
                seen.starts(with: known) && seen.dropFirst(known.count).allSatisfy { $0 == 0 }
            #expect(isRight, "seed \(seed) step \(step)")
        }
        others = []
        file.remove()
    }
}

/// A staging area of arrays.
private final class ListStaging: StagingStorage {
    final class File: StagedFile {
        let name = "list"
        private let bytes = Mutex<[UInt8]>([])

        func write(_ memory: UnsafeRawBufferPointer, at offset: Int64) {
            bytes.withLock { bytes in
                let end = Int(offset) + memory.count
                if bytes.count < end { bytes += Array(repeating: 0, count: end - bytes.count) }
                bytes.replaceSubrange(Int(offset)..<end, with: memory)
            }
        }

        func read(at offset: Int64, into memory: UnsafeMutableRawBufferPointer) {
            bytes.withLock { bytes in
                for index in 0..<memory.count {
                    let place = Int(offset) + index
                    memory[index] = place < bytes.count ? bytes[place] : 0
                }
            }
        }

        func punch(_ range: Range<Int64>) {
            bytes.withLock { bytes in
                for index in range.clamped(to: 0..<Int64(bytes.count)) { bytes[Int(index)] = 0 }
            }
        }

        func truncate(to size: Int64) {
            bytes.withLock { bytes in
                bytes = Array(bytes.prefix(Int(size)))
                bytes += Array(repeating: 0, count: Int(size) - bytes.count)
            }
        }

        func synchronize() {}
        func remove() {}
    }

    var journal: any Journal { fatalError("not asked for") }
    var usage: (claimed: Int64, limit: Int64) { (0, 0) }
    func makeFile() -> any StagedFile { File() }
    func file(named name: String) -> (any StagedFile)? { nil }
    func removeOrphans(keeping names: Set<String>) {}
    func claim(_ bytes: Int64) -> Bool { true }
    func claimPresent(_ bytes: Int64) {}
    func release(_ bytes: Int64) {}
    func whenReleased(_ body: @escaping @Sendable () -> Void) { body() }
}
