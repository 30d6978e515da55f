// Other clients: they put and delete objects in `shared/` while programs here replace, create and edit
// them. Whoever built on a version that is not there any more must be told, and no change of the
// others be lost unseen.

import Glibc
import Operations
import S3
import Simulation

extension WritingSimulation {
    private static let slot = 50

    /// One program on a shared name, with others in between.
    func meetOthers() {
        let name = ["s", "t", "u"].randomElement(using: &generator)!
        let path = "shared/" + name
        if bucket.object(key("shared/")) == nil { bucket.put(key("shared/"), []) }
        clock.advance(by: plan.timeToLive + plan.slack)
        if generator.chance(0.6) { others(change: path) }
        switch Int.random(in: 0..<3, using: &generator) {
        case 0: replace(path)
        case 1: createExclusively(path)
        default: edit(path)
        }
        if let descriptor = life.files.descriptors.removeValue(forKey: Self.slot) {
            try? life.driver.close(descriptor.handle)
        }
    }

    private func others(change path: String) {
        note("others change \(path)")
        if bucket.object(key(path)) != nil, generator.chance(0.3) {
            bucket.delete(key(path))
        } else {
            bucket.put(key(path), generator.bytes(Int.random(in: 1...60_000, using: &generator)))
        }
    }

    /// Opens a name, gives the others a chance, and writes.
    private func open(_ path: String, _ flags: Int32) -> Bool {
        let step = FileStep.open(slot: Self.slot, path: path, flags: flags, permissions: 0o644)
        note("\(step)")
        let answer = life.files.play(step)
        note("    \(answer)")
        if let errno = answer.errno, !life.points.isDead {
            let known: Set<Errno> = [.stale, .noEntry, .exists]
            if !known.contains(errno), !isFault(errno) { problem("\(step): \(errno)") }
        }
        return answer == .done
    }

    private func replace(_ path: String) {
        guard open(path, O_WRONLY | O_CREAT | O_TRUNC) else { return }
        let bytes = generator.bytes(Int.random(in: 0...90_000, using: &generator))
        logs.note([])
        publish(path, bytes, at: 0, base: nil)
    }

    private func createExclusively(_ path: String) {
        guard open(path, O_RDWR | O_CREAT | O_EXCL) else { return }
        let bytes = generator.bytes(Int.random(in: 1...50_000, using: &generator))
        logs.note([])
        publish(path, bytes, at: 0, base: .some(nil))
    }

    private func edit(_ path: String) {
        let from = clock.now - plan.timeToLive - plan.slack
        guard open(path, O_RDWR) else { return }
        let answer = life.files.play(.read(slot: Self.slot, offset: 0, size: 1 << 20))
        guard case .bytes(let bytes) = answer else {
            if let errno = answer.errno, errno != .stale, !isFault(errno), !life.points.isDead {
                problem("read \(path): \(errno)")
            }
            return
        }
        let versions = BucketModel.states(
            bucket.history(of: key(path)), from: from, to: clock.now
        ).compactMap { $0 }
        guard let base = versions.last(where: { $0.bytes == bytes }) else {
            return problem("\(path) shows \(bytes.count) bytes of no version")
        }
        guard !bytes.isEmpty else { return }
        var edited = bytes
        let start = Int.random(in: 0..<bytes.count, using: &generator)
        let piece = generator.bytes(min(bytes.count - start, 3000))
        edited.replaceSubrange(start..<start + piece.count, with: piece)
        publish(path, edited, piece: piece, at: start, base: .some(base))
    }

    /// Writes and closes; judges what a success means.
    ///
    /// - Parameter base: the version that the change builds on; `.some(nil)` when there must be none;
    ///   nil when it does not matter.
    private func publish(
        _ path: String, _ bytes: [UInt8], piece: [UInt8]? = nil, at offset: Int,
        base: StoredObject??
    ) {
        let start = clock.now
        // States on the way may be published too.
        let step = FileStep.write(
            slot: Self.slot, offset: Int64(offset), bytes: piece ?? bytes)
        logs.note(bytes)
        let written = life.files.play(step)
        guard case .count = written else {
            if let errno = written.errno, errno != .stale, !isFault(errno), !life.points.isDead {
                problem("write \(path): \(errno)")
            }
            return
        }
        if generator.chance(0.5) { others(change: path) }
        let closed = life.files.play(.close(slot: Self.slot))
        note("close \(path): \(closed)")
        if life.points.isDead { return }
        guard closed == .done else {
            let known: Set<Errno> = base == nil ? [] : [.stale, .exists]
            if !known.contains(closed.errno!), !isFault(closed.errno!) {
                problem("close \(path): \(closed)")
            }
            return count("others won")
        }
        count("shared publish")
        guard !plan.isWriteBack else { return }
        judgePublished(path, bytes, since: start, base: base)
    }

    private func judgePublished(
        _ path: String, _ bytes: [UInt8], since start: Duration, base: StoredObject??
    ) {
        let history = bucket.history(of: key(path))
        guard
            let index = history.lastIndex(where: {
                $0.cause != nil && $0.time >= start && $0.object?.bytes == bytes
            })
        else { return problem("close \(path) answered 0, but its bytes were never in the bucket") }
        guard let base, let cause = history[index].cause else { return }
        let isHonoured =
            cause == .completeUpload
            ? plan.server.honoursCompleteConditions : plan.server.honoursPutConditions
        guard isHonoured else { return }
        let before = index > 0 ? history[index - 1].object : nil
        if before?.etag != base?.etag {
            problem("close \(path) answered 0, but it replaced a version it had not seen")
        }
        count("condition held")
    }
}
