// A whole mount over a simulated bucket and a staging area in memory, with small parts.

import BlockStore
import Buffers
import Glibc
import Logging
import Operations
import S3
import Scheduling
import Simulation

@testable import FileSystem

/// One life after the other of one mount.
final class WritingWorld {
    static let part = 4096
    let scheduler = SimulatedScheduler(seed: 1)
    let store: SimulatedStore
    let isWriteBack: Bool
    private let homeLimit: Int64
    var staging: MemoryStaging
    var points = CrashPoints()
    var files: FileSystem!
    var driver: FileSystemDriver!

    /// - Parameters:
    ///   - stagingLimit: bytes.
    ///   - homeLimit: bytes of removed files that are brought here for their open handles.
    init(
        stagingLimit: Int64 = 1 << 20, homeLimit: Int64 = 64 << 20, isWriteBack: Bool = false
    ) {
        self.homeLimit = homeLimit
        store = SimulatedStore(scheduler: scheduler, seed: 1)
        store.roundTrip = .milliseconds(10)
        store.server.smallestPart = Int64(Self.part)
        self.isWriteBack = isWriteBack
        staging = MemoryStaging(scheduler: scheduler, limit: stagingLimit, points: points, seed: 1)
        mount()
    }

    private func mount() {
        let life = MortalScheduler(scheduler, points: points)
        let configuration = WritingConfiguration(
            partSize: Int64(Self.part), putLimit: Int64(Self.part), smallestPart: Int64(Self.part),
            parallelUploads: 2, homeLimit: homeLimit, isWriteBack: isWriteBack)
        files = FileSystem(
            configuration: FileSystemConfiguration(
                namespace: NamespaceConfiguration(), storeName: "simulated/bucket"),
            store: store, blocks: nil,
            changes: WritingRooms(
                configuration: configuration,
                store: MortalStore(store, points: points, seed: 1), staging: staging),
            pool: BufferPool(limit: 64 << 20), scheduler: life, notifier: nil,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        driver = FileSystemDriver(files, scheduler: scheduler)
    }

    /// Kills the process, and mounts again. Returns when what was promised is in the bucket.
    func crash() {
        let next = CrashPoints()
        staging = staging.crash(powerLoss: false, scheduler: scheduler, points: next)
        points = next
        scheduler.runUntilIdle()
        mount()
        let done = Box<Bool>()
        files.recover { done.set(true) }
        while done.value == nil { precondition(scheduler.step(), "never recovered") }
    }

    /// Bytes that tell where they are from.
    static func bytes(_ count: Int, _ seed: UInt8 = 1) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 / 256 &+ $0) &* 31 &+ seed }
    }

    func object(_ key: String) -> [UInt8]? { store.object(ObjectKey(key))?.bytes }

    /// Lets all timers pass.
    func settle() { scheduler.advance(by: .seconds(300)) }

    /// What every test must end with: no open book, no byte of the staging area claimed.
    var leftovers: [String] {
        settle()
        var found = driver.unanswered
        if driver.openFiles.isEmpty, staging.usage.claimed != 0 {
            found.append("\(staging.usage.claimed) bytes claimed")
        }
        if driver.openFiles.isEmpty, let records = try? staging.journal.records(), !records.isEmpty
        {
            found.append("\(records.count) records")
        }
        return found
    }
}
