// One life of a mount's process, from its start to its end or its death: everything that dies with it.

import Buffers
import FileSystem
import Logging
import Operations
import S3
import Simulation

final class MountLife {
    let points: CrashPoints
    let scheduler: MortalScheduler
    let store: MortalStore
    let staging: MemoryStaging
    let pool: BufferPool
    let fileSystem: FileSystem
    let driver: FileSystemDriver
    let files: MountedFiles
    /// What the life before left undone is done, as far as it can be now.
    private(set) var isRecovered = false

    /// - Parameters:
    ///   - staging: makes the staging area, or opens the one that the life before has left.
    ///   - logger: gets the mount's log.
    init(
        plan: WritingPlan, clock: SimulatedScheduler, bucket: SimulatedStore,
        blocks: MemoryBlockStorage, points: CrashPoints, seed: UInt64, logger: Logger,
        staging: (MortalScheduler) -> MemoryStaging
    ) {
        self.points = points
        scheduler = MortalScheduler(clock, points: points)
        store = MortalStore(bucket, points: points, seed: seed)
        self.staging = staging(scheduler)
        pool = BufferPool(limit: 16 << 20)
        fileSystem = FileSystem(
            configuration: plan.configuration, store: store, blocks: plan.hasBlocks ? blocks : nil,
            changes: WritingRooms(
                configuration: plan.writing, store: store, staging: self.staging),
            pool: pool, scheduler: scheduler, notifier: RecordingNotifier(), logger: logger)
        driver = FileSystemDriver(fileSystem, scheduler: clock)
        files = MountedFiles(driver: driver, seed: seed &+ 1)
    }

    /// Finishes what the life before left undone.
    ///
    /// - Returns: false when that is not over in an hour.
    func recover(clock: SimulatedScheduler) -> Bool {
        let recovered = Flag()
        fileSystem.recover { recovered.set() }
        let end = clock.now + .seconds(3600)
        while !recovered.isSet, !points.isDead, clock.step(until: end) {}
        return recovered.isSet || points.isDead
    }

    /// Publishes everything.
    ///
    /// - Returns: one line for each file that could not be published; nil when it never ends.
    func flushAll(clock: SimulatedScheduler) -> [String]? {
        let done = Flag()
        let failures = Lines()
        fileSystem.flushAll { lines in
            failures.set(lines)
            done.set()
        }
        let end = clock.now + .seconds(3600)
        while !done.isSet, !points.isDead, clock.step(until: end) {}
        return done.isSet ? failures.lines : points.isDead ? [] : nil
    }
}
