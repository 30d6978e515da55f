// The process dies at a point drawn from the seed, by kill -9 or with the power; another one goes on
// with what survived. Nothing that was acknowledged is lost.

import Simulation

@testable import FileSystem

extension WritingSimulation {
    func planCrash() {
        guard plan.hasCrashes, powerFails == nil else { return }
        powerFails = generator.chance(0.5)
        let number = Int.random(in: 1...30, using: &generator)
        note("to die at the \(number)th point, \(powerFails! ? "power loss" : "kill")")
        life.points.crash(after: number)
    }

    /// Goes on after a death, until a life has recovered, and judges what is in the bucket.
    func goOn() {
        var hasLostPower = false
        // What was under way arrives, or has broken off.
        flushes = []
        calmDown()
        var deaths = 0
        while life.points.isDead, problems.isEmpty {
            count("death")
            note("dead at \(life.points.place ?? "?")")
            clock.advance(by: .seconds(5))
            let powerLoss = powerFails ?? false
            if powerLoss { hasLostPower = true }
            revive(powerLoss: powerLoss)
            deaths += 1
            // Recovery may be cut short too.
            if deaths < 3, generator.chance(0.4) {
                powerFails = generator.chance(0.5)
                life.points.crash(after: Int.random(in: 1...12, using: &generator))
            }
            if !life.recover(clock: clock) { problem("recovery never ends") }
            if !life.points.isDead {
                life.points.spare()
                powerFails = nil
                publishAll("after recovery")
            }
        }
        guard problems.isEmpty else { return }
        judgeBucket()
        verify(strict: false, removedMayShow: hasLostPower, "recovered")
        judgeLeaks(hasLostPower: hasLostPower)
        adopt()
    }

    /// Begins the next life.
    func revive(powerLoss: Bool) {
        lives += 1
        let (points, old) = (CrashPoints(), life)
        life = MountLife(
            plan: plan, clock: clock, bucket: bucket, blocks: blocks, points: points,
            seed: generator.next(), logger: logger
        ) {
            old.staging.crash(powerLoss: powerLoss, scheduler: $0, points: points)
        }
    }

    /// Nothing of ours is left over: no upload, no staged file, no record.
    func judgeLeaks(hasLostPower: Bool) {
        for upload in bucket.uploads where !upload.parts.isEmpty && !hasLostPower {
            problem("left: the upload \(upload.upload.id) of \(upload.upload.key)")
        }
        if hasLostPower || plan.hasOthers { return }
        let records = (try? life.staging.journal.records()) ?? []
        if !records.isEmpty {
            let texts = records.map { String(decoding: $0.record.prefix(150), as: UTF8.self) }
            problem("left: \(records.count) records of the journal: \(texts)")
        }
        if !life.staging.files.isEmpty { problem("left: staged files \(life.staging.files)") }
        for file in life.fileSystem.writing?.context.files.all ?? [] {
            let isTaken = file.gate.isTaken
            let handles = life.fileSystem.handles.count(of: file.inode)
            let text = file.locked {
                "\($0.key) users \($0.users) dirty \($0.isDirty) removed \($0.isRemoved)"
            }
            problem("left: the file \(text) gate \(isTaken) handles \(handles)")
        }
        let claimed = life.staging.usage.claimed
        if claimed != 0 { problem("left: \(claimed) bytes claimed of the staging area") }
    }
}
