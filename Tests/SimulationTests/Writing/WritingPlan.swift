// What one seed decides before the first step of a history with writes.

import BlockStore
import FileSystem
import S3
import Simulation

struct WritingPlan {
    var seed: UInt64
    /// Requests and disks fail.
    var hasFaults: Bool
    /// Other clients change objects in `shared/`.
    var hasOthers: Bool
    /// The process is killed, or the power fails, and a new one goes on.
    var hasCrashes: Bool
    /// Answers get lost of what was carried out.
    var hasLostAnswers: Bool
    var isWriteBack: Bool
    var hasBlocks: Bool
    var timeToLive: Duration
    var rootPrefix: [UInt8]
    var roundTrip: Duration
    var bandwidth: Int?
    var server: ServerBehaviour
    var stagingLimit: Int64
    var putLimit: Int64
    var partSize: Int64
    var parallelUploads: Int
    var operations: Int

    /// Bytes of the smallest part that the server takes: tiny, so that small files have many.
    static let smallestPart: Int64 = 16 << 10

    init(seed: UInt64, using generator: inout SeededGenerator) {
        self.seed = seed
        hasFaults = seed & 1 != 0
        hasCrashes = seed & 2 != 0
        hasOthers = seed & 4 != 0
        hasLostAnswers = hasFaults && seed & 8 != 0
        isWriteBack = generator.chance(0.4)
        hasBlocks = generator.chance(0.5)
        timeToLive = [.zero, .seconds(1), .seconds(10), .seconds(60)]
            .randomElement(using: &generator)!
        rootPrefix = [[], Array("home/".utf8)].randomElement(using: &generator)!
        roundTrip = [.zero, .milliseconds(5), .milliseconds(30)]
            .randomElement(using: &generator)!
        bandwidth = [nil, 1_000_000].randomElement(using: &generator)!
        server = .random(smallestPart: Self.smallestPart, using: &generator)
        stagingLimit = [300_000, 600_000, 1 << 30].randomElement(using: &generator)!
        putLimit = [Self.smallestPart, 2 * Self.smallestPart, 1 << 20]
            .randomElement(using: &generator)!
        partSize = [Self.smallestPart, 2 * Self.smallestPart].randomElement(using: &generator)!
        parallelUploads = [1, 2, 8].randomElement(using: &generator)!
        operations = 120
    }

    /// Longer than what is gathered, tried again or learned can stay unfinished without faults.
    var slack: Duration { .seconds(10) }

    var writing: WritingConfiguration {
        WritingConfiguration(
            partSize: partSize, putLimit: putLimit, smallestPart: Self.smallestPart,
            parallelUploads: parallelUploads,
            contentType: { $0.bytes.ends(with: ".txt".utf8) ? "text/plain" : nil },
            isWriteBack: isWriteBack)
    }

    var configuration: FileSystemConfiguration {
        FileSystemConfiguration(
            namespace: NamespaceConfiguration(
                rootPrefix: rootPrefix, timeToLive: timeToLive, memoryLimit: 1 << 20,
                readsMetadata: true),
            storeName: "simulated/bucket")
    }

    var summary: String {
        "faults \(hasFaults) lost answers \(hasLostAnswers) crashes \(hasCrashes) others \(hasOthers) write-back \(isWriteBack) "
            + "blocks \(hasBlocks) ttl \(timeToLive) root '\(String(decoding: rootPrefix, as: UTF8.self))' "
            + "round trip \(roundTrip) staging \(stagingLimit) put \(putLimit) part \(partSize) "
            + "uploads \(parallelUploads) conditions \(server.honoursPutConditions) "
            + "\(server.honoursCompleteConditions) \(server.honoursCopyConditions) "
            + "part copy \(server.hasPartCopy) probed \(server.isProbed)"
    }
}

extension [UInt8] {
    fileprivate func ends(with suffix: String.UTF8View) -> Bool {
        self.suffix(suffix.count).elementsEqual(suffix)
    }
}
