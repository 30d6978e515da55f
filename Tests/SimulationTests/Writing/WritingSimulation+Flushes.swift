// Flushes and fsyncs that go on while other steps are played: what they send must stay as it was, and
// what they say must be true of some moment between their begin and their end.

import Operations
import Simulation

extension WritingSimulation {
    /// Begins to flush or fsync a descriptor, and goes on.
    func flushBesides() {
        guard doubts.isEmpty else { return }
        let open = model.handles.filter { $0.value.mayWrite }.map(\.key).sorted()
        guard let slot = open.randomElement(using: &generator),
            let descriptor = life.files.descriptors[slot]
        else { return }
        let number = model.handles[slot]!.inode
        let isSynchronize = generator.chance(0.5)
        note("begin to \(isSynchronize ? "fsync" : "flush") \(slot)")
        let driver = life.driver
        let operation =
            isSynchronize
            ? driver.beginSynchronize(descriptor.handle) : driver.beginFlush(descriptor.handle)
        flushes.append(
            PendingFlush(
                operation: operation, inode: number, start: clock.now,
                state: logs[number].current, isSynchronize: isSynchronize))
    }

    /// Judges those that were answered.
    func heedFlushes() {
        let answered = flushes.filter { $0.operation.isAnswered }
        flushes.removeAll { $0.operation.isAnswered }
        for flush in answered {
            switch flush.operation.result! {
            case .success:
                acknowledge(
                    flush.inode, from: flush.state,
                    isPublished: (flush.isSynchronize || !plan.isWriteBack)
                        && isUndisturbed(flush), start: flush.start, "a flush besides")
                count("flush besides")
            case .failure(let errno):
                note("a flush besides failed: \(errno)")
                if !isFault(errno), !life.points.isDead { problem("a flush besides: \(errno)") }
            }
        }
    }

    /// The file was not renamed since the flush began: else its path says nothing.
    private func isUndisturbed(_ flush: PendingFlush) -> Bool {
        renamedSince[flush.inode].map { $0 < flush.start } ?? true
    }

    /// Waits for all of them.
    func awaitFlushes() {
        for flush in flushes { life.driver.wait(for: flush.operation) }
        heedFlushes()
        if !life.points.isDead, let flush = flushes.first {
            problem("never answered: \(flush.operation.description)")
        }
    }
}
