// What the bucket may hold: at an acknowledgement exactly the file's bytes, and at no time bytes that
// no publish could have produced.

import Operations
import S3
import Simulation

extension WritingSimulation {
    /// True for names that other clients change: judged by other rules.
    static func isShared(_ path: String) -> Bool { path == "shared" || path.hasPrefix("shared/") }

    /// A step succeeded that may promise something.
    func acknowledge(_ step: FileStep, before: PosixModel, start: Duration) {
        switch step {
        case .close(let slot), .closeDuplicate(let slot), .synchronize(let slot):
            guard let handle = before.handles[slot], handle.mayWrite else { return }
            var isSynchronize = false
            if case .synchronize = step { isSynchronize = true }
            acknowledge(
                handle.inode, from: logs[handle.inode].current,
                isPublished: isSynchronize || !plan.isWriteBack, start: start, "\(step)")
        case .truncate(let path, _):
            guard !plan.isWriteBack, let number = try? model.find(path),
                model.inodes[number]!.handles == 0
            else { return }
            acknowledge(
                number, from: logs[number].current, isPublished: true, start: start,
                "\(step)")
        default: break
        }
    }

    /// A file is safe, and in the bucket when `isPublished`: as it was at some time since the state
    /// of a number.
    func acknowledge(
        _ number: PosixModel.Number, from first: Int, isPublished: Bool, start: Duration,
        _ what: String
    ) {
        guard let path = model.path(of: number) else { return }
        let allowed = logs[number].states(from: first)
        logs.acknowledge(number, from: first)
        guard isPublished, !logs[number].isSpoilt, doubts.isEmpty else { return }
        count("published")
        let states = BucketModel.states(
            bucket.history(of: key(path)), from: start, to: clock.now)
        let isThere = states.contains { object in
            object.map { allowed.contains(ContentLogs.state(of: $0.bytes)) } ?? false
        }
        if !isThere {
            let last = states.last ?? nil
            problem(
                "\(what): answered 0, but \(path) of \(model.inodes[number]!.bytes.count) bytes "
                    + "is not in the bucket (\(last.map { "\($0.size) other bytes" } ?? "nothing"))"
            )
        }
    }

    /// Looks at every change that the mount made since the last look.
    func judgeBucket() {
        for key in bucket.everyKey {
            let history = bucket.history(of: key)
            let first = judgedChanges[key] ?? 0
            guard history.count > first else { continue }
            judgedChanges[key] = history.count
            for change in history[first...] where change.cause != nil {
                guard let object = change.object else { continue }
                count("\(change.cause!)")
                if key.bytes.last == UInt8(ascii: "/") {
                    if !object.bytes.isEmpty { problem("the marker \(key) has bytes") }
                } else if !logs.everyState.contains(ContentLogs.state(of: object.bytes)),
                    !isSpoilt(key)
                {
                    problem("\(key) held \(object.size) bytes that no file ever had")
                }
            }
        }
        for violation in bucket.violations { problem(violation) }
    }

    /// A write failed in its middle there: any mix of its bytes may be published.
    private func isSpoilt(_ key: ObjectKey) -> Bool {
        let spoilt = logs.logs.filter { $0.value.isSpoilt }
        return !spoilt.isEmpty
    }

    /// Judges the bucket as a whole.
    ///
    /// - Parameter strict: everything is published.
    func verify(strict: Bool, removedMayShow: Bool = false, _ when: String) {
        var rules = BucketRules(model)
        for doubt in doubts { rules.doubt(doubt.before, doubt.after) }
        let found = rules.problems(
            bucket.objects, prefix: plan.rootPrefix, logs: logs, strict: strict,
            removedMayShow: removedMayShow, isShared: Self.isShared)
        for text in found { problem("\(when): \(text)") }
        count("verified")
    }

    /// Takes the bucket as it is for the truth, with nothing open.
    func adopt() {
        var adopted = model.successor()
        var entries = bucket.objects.filter { $0.key.bytes.starts(with: plan.rootPrefix) }.map {
            (String(decoding: $0.key.bytes.dropFirst(plan.rootPrefix.count), as: UTF8.self), $0)
        }.filter { !$0.0.isEmpty && !Self.isShared($0.0) }
        entries.sort { $0.0.utf8.lexicographicallyPrecedes($1.0.utf8) }
        for (path, object) in entries {
            var directory = PosixModel.root
            var parts = path.split(separator: "/").map(String.init)
            let name = path.hasSuffix("/") ? nil : parts.popLast()
            for part in parts {
                directory =
                    adopted.inodes[directory]!.entries[part]
                    ?? adopted.add(
                        PosixModel.Inode(kind: .directory, permissions: nil), to: directory, part)
            }
            guard let name else { continue }
            let mode = object.metadata["mode"].flatMap { UInt32($0) } ?? 0
            var inode = PosixModel.Inode(kind: .file, permissions: nil, bytes: object.bytes)
            if mode & 0xF000 == 0xA000 {
                inode.kind = .symbolicLink
                inode.target = String(decoding: object.bytes, as: UTF8.self)
                inode.bytes = []
            }
            let number = adopted.add(inode, to: directory, name)
            if inode.kind == .file { noteAdopted(number, object.bytes) }
        }
        model = adopted
        doubts = []
    }

    private func noteAdopted(_ number: PosixModel.Number, _ bytes: [UInt8]) {
        logs.note(number, bytes)
        logs.acknowledge(number, from: 0)
    }
}
