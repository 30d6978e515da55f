// Faults of the network and the local disk: what may fail then, and how the model goes on when nobody
// knows whether a step was carried out.

import Operations
import S3
import Simulation

extension WritingSimulation {
    func toggleFaults() {
        guard plan.hasFaults else { return }
        if isRough { return calmDown() }
        note("faults begin")
        isRough = true
        var faults = FaultPlan.roughWriting(errors: 0.03)
        if !plan.hasLostAnswers { faults.lostAnswers = 0 }
        bucket.faults = faults
        switch Int.random(in: 0..<8, using: &generator) {
        case 0: bucket.server.mayWrite = false
        case 1: bucket.server.quota = 50_000
        case 2: life.staging.isFull = true
        case 3: life.staging.faults.failure = 0.05
        case 4: bucket.server.mayDelete = false
        default: break
        }
    }

    /// Ends the faults.
    func calmDown() {
        guard isRough else { return }
        note("calm")
        isRough = false
        lastRough = clock.now
        bucket.faults = FaultPlan()
        bucket.server = plan.server
        life.staging.isFull = false
        life.staging.faults = StagingFaults()
        // A change of attributes that was refused for good is taken back.
        for number in model.inodes.keys {
            model.inodes[number]!.permissions = nil
            model.inodes[number]!.modified = nil
        }
    }

    /// True when a fault may be the reason.
    func isFault(_ errno: Errno) -> Bool {
        guard plan.hasFaults, isRough || clock.now - lastRough < .seconds(120) else { return false }
        let known: Set<Errno> = [
            .inputOutput, .timedOut, .accessDenied, .quotaExceeded, .noSpace, .busy, .tryAgain,
        ]
        if plan.hasLostAnswers, errno == .stale || errno == .exists || errno == .noEntry {
            return true
        }
        return known.contains(errno)
    }

    /// A step failed by a fault: what it was to change is in doubt.
    func fail(_ step: FileStep, before: PosixModel, after: PosixModel) {
        count("fault")
        piecesMayGoOn = false
        switch step {
        case .close:
            // The descriptor is gone whatever close(2) says.
            model = after
        case .closeDuplicate, .synchronize, .read, .status, .look, .names, .readLink, .seek: break
        case .changePermissions(let path, _), .setTime(let path, _):
            guard let number = try? model.find(path) else { return }
            model.inodes[number]!.permissions = nil
            model.inodes[number]!.modified = nil
        case .write(let slot, _, _), .truncateOpen(let slot, _), .allocate(let slot, _, _, _):
            let number = before.handles[slot]!.inode
            logs.spoil(number)
            doubts.append((before, before))
        default: doubts.append((before, after))
        }
    }

    /// Ends what is in doubt: without faults everything is closed and published, the bucket must hold
    /// what it may, and what it holds is taken for the truth.
    func settle() {
        note("settle")
        calmDown()
        awaitFlushes()
        for slot in life.files.descriptors.keys.sorted() where problems.isEmpty {
            let outcome = life.files.play(.close(slot: slot))
            if let errno = outcome.errno, !life.points.isDead, !isFault(errno) {
                problem("close \(slot) to settle: \(errno)")
            }
        }
        if life.points.isDead { return goOn() }
        model.handles = [:]
        publishAll("to settle")
        if life.points.isDead { return goOn() }
        verify(strict: true, "settled")
        adopt()
    }

    /// Publishes everything, and lets what was learned grow old.
    func publishAll(_ when: String) {
        clock.advance(by: plan.slack)
        let failures = life.flushAll(clock: clock)
        if life.points.isDead { return }
        switch failures {
        case nil: problem("flushing everything never ends \(when)")
        case let lines?:
            // What lost against another client is kept here, and said.
            let others = plan.hasOthers ? lines.filter { $0.contains("somebody else") } : []
            if lines.count > others.count { problem("\(when): not published: \(lines)") }
        }
        clock.advance(by: plan.timeToLive + plan.slack)
    }
}
