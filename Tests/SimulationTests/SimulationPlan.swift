// What one seed decides before the first operation: settings, faults, and the bucket at the start.

import BlockStore
import Buffers
import FileSystem
import Logging
import S3
import Simulation

struct SimulationPlan {
    var seed: UInt64
    /// Requests fail, bodies break, the disk fails.
    var hasFaults: Bool
    /// Other clients change the bucket.
    var hasChanges: Bool
    var hasBlocks: Bool
    var timeToLive: Duration?
    var rootPrefix: [UInt8]
    var poolLimit: Int
    var namespaceMemory: Int
    var roundTrip: Duration
    var operations: Int

    init(seed: UInt64, using generator: inout SeededGenerator) {
        self.seed = seed
        hasFaults = seed & 1 != 0
        hasChanges = seed & 2 != 0
        hasBlocks = Bool.random(using: &generator)
        timeToLive = [.zero, .seconds(1), .seconds(10), .seconds(60), .seconds(60), nil]
            .randomElement(using: &generator)!
        rootPrefix = [[], Array("assets/".utf8)].randomElement(using: &generator)!
        poolLimit = [16, 16, 24, 64].randomElement(using: &generator)! << 20
        namespaceMemory = [4 << 10, 64 << 10, 32 << 20].randomElement(using: &generator)!
        roundTrip = [.zero, .milliseconds(5), .milliseconds(30)]
            .randomElement(using: &generator)!
        operations = 120
    }

    /// Longer than anything the file system learned can be under way before it is used: a round trip
    /// for every page of a listing.
    var slack: Duration { .seconds(8) }

    var configuration: FileSystemConfiguration {
        FileSystemConfiguration(
            namespace: NamespaceConfiguration(
                rootPrefix: rootPrefix, timeToLive: timeToLive, memoryLimit: namespaceMemory),
            storeName: "simulated/bucket")
    }

    var summary: String {
        "faults \(hasFaults) changes \(hasChanges) blocks \(hasBlocks) "
            + "ttl \(timeToLive.map(String.init(describing:)) ?? "forever") "
            + "root '\(String(decoding: rootPrefix, as: UTF8.self))' pool \(poolLimit >> 20) MiB "
            + "names \(namespaceMemory) round trip \(roundTrip)"
    }

    // MARK: Keys and contents

    private static let names = [
        "a", "b", "c", "d.jpg", "e f.png", "한글.txt", "x%20+y&=#?", "zz",
    ]

    /// A key of up to three components of few names, so that objects and directories collide.
    func key(using generator: inout SeededGenerator) -> ObjectKey {
        var path: [String] = []
        for _ in 0..<[1, 1, 2, 2, 2, 3].randomElement(using: &generator)! {
            path.append(Self.names.randomElement(using: &generator)!)
        }
        var text = path.joined(separator: "/")
        if generator.chance(0.05) { text += "/" }
        if generator.chance(0.03) {
            return ObjectKey(text)  // Outside the root, when there is one.
        }
        return ObjectKey(rootPrefix + Array(text.utf8))
    }

    /// A name to look up in a directory: mostly one that some key has.
    func name(using generator: inout SeededGenerator) -> [UInt8] {
        var name = Array(Self.names.randomElement(using: &generator)!.utf8)
        if generator.chance(0.1) { name += BucketModel.escape }
        if generator.chance(0.05) { name = Array("missing".utf8) }
        return name
    }

    /// Sizes around every border that matters: 0, chunks, blocks, windows.
    func size(using generator: inout SeededGenerator) -> Int {
        let chunk = BlockGeometry.chunkSize
        let block = BlockGeometry.blockSize
        switch Int.random(in: 0..<20, using: &generator) {
        case 0: return 0
        case 1..<8: return Int.random(in: 1...5000, using: &generator)
        case 8: return chunk + Int.random(in: -1...1, using: &generator)
        case 9..<13: return Int.random(in: 5000...(20 * chunk), using: &generator)
        case 13: return block + Int.random(in: -1...1, using: &generator)
        case 14..<19: return Int.random(in: (20 * chunk)...(3 * block), using: &generator)
        default: return Int.random(in: (3 * block)...(12 * block), using: &generator)
        }
    }

    /// Puts a random object, as another client would.
    func putSomething(into store: SimulatedStore, using generator: inout SeededGenerator) {
        let key = key(using: &generator)
        let isMarker = key.bytes.last == UInt8(ascii: "/") && !generator.chance(0.2)
        let bytes = isMarker ? [] : generator.bytes(size(using: &generator))
        store.put(key, bytes)
    }
}
