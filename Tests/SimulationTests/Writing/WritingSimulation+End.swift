// The end of a run: everything is closed and published, the bucket is exactly the model, another mount
// of it shows exactly the model, and nothing is left over.

import Operations
import S3
import Simulation

extension WritingSimulation {
    func end() {
        note("end")
        life.points.spare()
        settle()
        guard problems.isEmpty else { return }
        life.files.forgetSome()
        judgeBucket()
        // An orderly end, and one more life: what could not be cleaned up before is now.
        life.driver.forgetAll()
        life.fileSystem.shutdown()
        clock.advance(by: .seconds(200))
        if !life.driver.unanswered.isEmpty { problem("never answered: \(life.driver.unanswered)") }
        if !plan.hasFaults, !plan.hasCrashes { judgeLeaks(hasLostPower: false) }
        let used = life.pool.used
        revive(powerLoss: false)
        if !life.recover(clock: clock) { problem("recovery never ends") }
        publishAll("at the end")
        verify(strict: true, "the end")
        compareTree()
        judgeLeaks(hasLostPower: plan.hasCrashes)
        life.driver.forgetAll()
        life.fileSystem.shutdown()
        if !clock.runUntilIdle(maxSteps: 200_000) { problem("work goes on for ever") }
        if bucket.pendingRequests != 0 { problem("requests under way after the end") }
        _ = used
    }

    /// Walks a mount that knows nothing yet, and compares it with the model.
    private func compareTree() {
        for (number, path) in model.paths.sorted(by: { $0.value < $1.value })
        where problems.isEmpty {
            let inode = model.inodes[number]!
            judge(.look(path: path))
            switch inode.kind {
            case .directory: judge(.names(path: path))
            case .symbolicLink: judge(.readLink(path: path))
            default:
                var after = model
                _ = after.play(.open(slot: 99, path: path, flags: 0, permissions: 0))
                let opened = life.files.play(
                    .open(slot: 99, path: path, flags: 0, permissions: 0))
                guard opened == .done else { return problem("the end: open \(path): \(opened)") }
                let bytes = life.files.play(.read(slot: 99, offset: 0, size: 2 << 20))
                if bytes != .bytes(inode.bytes) { problem("the end: \(path): \(bytes)") }
                _ = life.files.play(.close(slot: 99))
            }
        }
    }

    private func judge(_ step: FileStep) {
        var copy = model
        let (expected, answer) = (copy.play(step), life.files.play(step))
        if !answer.fits(expected) {
            problem("the end: \(step): \(answer), the model says \(expected)")
        }
    }
}
