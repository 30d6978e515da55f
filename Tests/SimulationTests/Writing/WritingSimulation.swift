// One history of a mount that is written to, played from one seed: programs with several descriptors,
// a bucket and a disk that fail, other clients, and crashes. Every answer is judged by the reference
// model, and the bucket by what it may hold.
//
// Runs on one thread; the answers arrive inside `clock.step()`.

import Glibc
import Logging
import Operations
import S3
import Simulation

final class WritingSimulation {
    let plan: WritingPlan
    var generator: SeededGenerator
    let clock: SimulatedScheduler
    let bucket: SimulatedStore
    let blocks: MemoryBlockStorage
    let steps: StepGenerator
    let logger: Logger
    var life: MountLife
    var lives = 1

    var model = PosixModel()
    var logs = ContentLogs()
    /// Steps of which nobody knows whether they were carried out.
    var doubts: [(before: PosixModel, after: PosixModel)] = []
    /// Changes of each key that were looked at.
    var judgedChanges: [ObjectKey: Int] = [:]
    var flushes: [PendingFlush] = []
    /// When each file was last given another path.
    var renamedSince: [PosixModel.Number: Duration] = [:]
    /// Where each file that lost its name had it, and since when.
    var removed: [PosixModel.Number: (path: String, time: Duration)] = [:]
    var isRough = false
    var lastRough = Duration.seconds(-1000)
    /// The process is going to die soon, and whether the power fails then.
    var powerFails: Bool?
    var problems: [String] = []
    /// What was judged, by kind, to see that a run tests what it should.
    var judged: [String: Int] = [:]
    let isTraced: Bool

    /// A flush or fsync that goes on while other steps are played.
    struct PendingFlush {
        var operation: Pending<Void>
        var inode: PosixModel.Number
        var start: Duration
        /// The number of the file's state when it began.
        var state: Int
        var isSynchronize: Bool
    }

    init(seed: UInt64, isTraced: Bool = false) {
        var generator = SeededGenerator(seed: seed &* 0x9E37_79B9 &+ 7)
        let plan = WritingPlan(seed: seed, using: &generator)
        self.plan = plan
        clock = SimulatedScheduler(seed: generator.next())
        bucket = SimulatedStore(scheduler: clock, seed: generator.next())
        blocks = MemoryBlockStorage(scheduler: clock, seed: generator.next())
        bucket.roundTrip = plan.roundTrip
        bucket.bandwidth = plan.bandwidth
        bucket.server = plan.server
        steps = StepGenerator(
            borders: [4096, Int(plan.partSize), Int(plan.putLimit), 2 * Int(plan.partSize)])
        self.isTraced = isTraced
        logger = Logger(label: "simulation") { _ in
            isTraced ? TraceLog() as any LogHandler : SwiftLogNoOpLogHandler()
        }
        let (points, stagingSeed) = (CrashPoints(), generator.next())
        life = MountLife(
            plan: plan, clock: clock, bucket: bucket, blocks: blocks, points: points,
            seed: generator.next(), logger: logger
        ) {
            MemoryStaging(
                scheduler: $0, limit: plan.stagingLimit, points: points, seed: stagingSeed)
        }
        self.generator = generator
    }

    // MARK: The run

    /// Plays it to the end, or to the first finding.
    func run() {
        note(plan.summary)
        if !life.recover(clock: clock) { problem("recovery of nothing never ends") }
        for _ in 0..<plan.operations where problems.isEmpty {
            perform()
            if problems.isEmpty { drift() }
        }
        if problems.isEmpty { end() }
    }

    private func perform() {
        switch Int.random(in: 0..<100, using: &generator) {
        case 0..<4: toggleFaults()
        case 4..<6: planCrash()
        case 6..<9: passTime()
        case 9..<11: life.files.forgetSome()
        case 11..<17 where plan.hasOthers: meetOthers()
        case 17..<22: flushBesides()
        default: playSomething()
        }
        if life.points.isDead { return goOn() }
        if !doubts.isEmpty, !isRough || generator.chance(0.3) { settle() }
    }

    /// Lets the world go on for a moment.
    private func drift() {
        for _ in 0..<Int.random(in: 0...12, using: &generator) {
            clock.step(until: clock.now + .milliseconds(200))
        }
        heedFlushes()
        if life.points.isDead { return goOn() }
        judgeBucket()
    }

    func passTime() {
        let span = [Duration.milliseconds(50), .seconds(1), .seconds(3), plan.timeToLive * 2]
            .randomElement(using: &generator)!
        note("advance \(span)")
        clock.advance(by: span)
        heedFlushes()
    }

    // MARK: Steps

    private func playSomething() {
        // While something is in doubt, only what cannot depend on it goes on: nothing.
        guard doubts.isEmpty else { return }
        let step = steps.step(model, using: &generator)
        guard case .write(let slot, let offset, let bytes) = step else { return play(step) }
        // In requests as the kernel makes them: each may be published by itself.
        let most = generator.chance(0.2) ? 4096 : 1 << 17
        var done = 0
        repeat {
            let piece = Array(bytes[done..<min(done + most, bytes.count)])
            play(.write(slot: slot, offset: offset + Int64(done), bytes: piece))
            done += piece.count
        } while done < bytes.count && problems.isEmpty && doubts.isEmpty && !life.points.isDead
            && model.handles[slot] != nil && piecesMayGoOn
        piecesMayGoOn = true
    }

    /// False after a write that failed.
    var piecesMayGoOn = true

    /// Plays one step to the model and to the mount, and judges the answer.
    func play(_ step: FileStep) {
        let before = model
        var after = model
        let expected = after.play(step)
        noteContents(step, before: before, after: after)
        note("\(step)")
        let start = clock.now
        var answer = life.files.play(step)
        if case .names(let path) = step, path.isEmpty { answer = answer.without("shared") }
        note("    \(answer)")
        count(step.name)
        // A dead process answers nobody; a success that came before its death counts.
        if life.points.isDead, answer.errno != nil, answer.errno != expected.errno {
            doubts.append((before, after))
            return
        }
        let fits: Bool
        if case .seek(let slot, let offset, let whence) = step {
            fits = before.allows(answer, toSeek: slot, offset, whence)
        } else {
            fits = answer.fits(expected)
        }
        notePaths(before, after, since: start)
        if fits {
            model = after
            if answer.errno == nil { acknowledge(step, before: before, start: start) }
        } else if mayBeStale(step, answer.errno) {
            count("stale")
            piecesMayGoOn = false
            if case .close = step { model = after }
            if step.isChangeOfBytes { logs.spoil(before.handles[step.slot!]!.inode) }
        } else if let errno = answer.errno, isFault(errno), expected.errno == nil || isRough {
            fail(step, before: before, after: after)
        } else {
            problem("\(step): \(answer), the model says \(expected)")
        }
    }

    /// Notes what files are about to hold, before anybody can see it.
    private func noteContents(_ step: FileStep, before: PosixModel, after: PosixModel) {
        switch step {
        case .open(let slot, _, _, _), .write(let slot, _, _), .truncateOpen(let slot, _),
            .allocate(let slot, _, _, _):
            guard let number = after.handles[slot]?.inode else { return }
            logs.note(number, after.inodes[number]!.bytes)
        case .truncate(let path, _):
            guard let number = try? after.find(path), after.inodes[number]!.kind == .file else {
                return
            }
            logs.note(number, after.inodes[number]!.bytes)
        case .link(let target, _): logs.note(Array(target.utf8))
        default: break
        }
    }

    private func notePaths(_ before: PosixModel, _ after: PosixModel, since start: Duration) {
        guard before.names != after.names else { return }
        let (old, new) = (before.paths, after.paths)
        for (number, path) in old where path != new[number] {
            renamedSince[number] = clock.now
            if new[number] == nil { removed[number] = (path, start) }
        }
    }

    /// True when a file that lost its name cannot be read any more, because its object was replaced:
    /// by a rename, or by a new file of the name.
    private func mayBeStale(_ step: FileStep, _ errno: Errno?) -> Bool {
        // What was sent and left the staging area goes with an upload that is not completed.
        let isLost = errno == .inputOutput && plan.stagingLimit < 1 << 30
        guard errno == .stale || isLost, let slot = step.slot, let handle = model.handles[slot],
            let (path, time) = removed[handle.inode]
        else { return false }
        return bucket.history(of: key(path)).contains { $0.time >= time && $0.object != nil }
    }

    // MARK: Notes

    func problem(_ text: String) {
        problems.append("at \(clock.now): \(text)")
        note("PROBLEM \(text)")
    }

    func count(_ what: String) { judged[what, default: 0] += 1 }

    func note(_ text: @autoclosure () -> String) {
        guard isTraced else { return }
        print("\(clock.now) \(text())")
    }

    func key(_ path: String) -> ObjectKey { ObjectKey(plan.rootPrefix + Array(path.utf8)) }
}

extension StepOutcome {
    /// Without a name that is judged by other rules.
    fileprivate func without(_ name: String) -> StepOutcome {
        if case .names(let names) = self { .names(names.subtracting([name])) } else { self }
    }
}

extension FileStep {
    /// The descriptor it is about.
    var slot: Int? {
        switch self {
        case .close(let slot), .closeDuplicate(let slot), .synchronize(let slot),
            .read(let slot, _, _), .write(let slot, _, _), .truncateOpen(let slot, _),
            .status(let slot), .allocate(let slot, _, _, _), .seek(let slot, _, _):
            slot
        default: nil
        }
    }

    var isChangeOfBytes: Bool {
        switch self {
        case .write, .truncateOpen, .allocate: true
        default: false
        }
    }

    /// The system call.
    var name: String {
        String(description.drop { $0.isNumber || $0 == " " || $0 == "=" }.prefix { $0 != " " })
    }
}
