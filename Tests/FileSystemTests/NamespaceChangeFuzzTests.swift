// Random changes here and in the bucket, with listings, flights, faults, forgets and evictions in
// between: what lookup, readdir and getattr show is local truth while it is unsettled, and after
// that what the bucket has held since, within the TTL.

import FileSystem
import Operations
import S3
import Simulation
import Testing

@testable import FileSystem

@Suite struct NamespaceChangeFuzzTests {
    @Test(arguments: UInt64(1)...300)
    func namesShowTheTruth(seed: UInt64) throws {
        let fuzz = ChangeFuzz(seed: seed)
        for step in 0..<250 {
            fuzz.act()
            fuzz.check(step)
            if !fuzz.problems.isEmpty { break }
        }
        fuzz.finish()
        #expect(fuzz.problems.isEmpty, "seed \(seed): \(fuzz.problems) \(fuzz.log.suffix(40))")
    }
}

/// One run.
final class ChangeFuzz {
    let world: NamespaceWorld
    let ttl: Duration
    var generator: SeededGenerator
    var model = ChangeModel()
    var known: [InodeNumber: UInt64] = [:]
    var size: Int64 = 0
    var problems: [String] = []
    var log: [String] = []
    var lookups: [(path: String, start: Duration, box: Box<Result<EntryAnswer, Errno>>)] = []
    var walks: [(handle: HandleNumber, start: Duration, rows: [String], offset: UInt64)] = []

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed &* 1_299_709)
        ttl = [.zero, .seconds(1), .seconds(1), .seconds(5)][Int(seed % 4)]
        world = NamespaceWorld(
            seed: seed, ttl: ttl, memoryLimit: seed % 3 == 0 ? 2000 : 1 << 20,
            readsMetadata: seed % 5 < 2)
        world.store.faults.delay = .zero ... .milliseconds(40)
        world.store.faults.shortPages = 0.6
        for _ in 0..<8 { putElsewhere() }
        note()
    }

    var now: Duration { world.scheduler.now }
    /// How old an answer may be: believed for the TTL, and on its way for a while.
    func oldest(_ path: String, _ start: Duration) -> Duration {
        // A directory made here is believed empty for the TTL, on knowledge as old as that.
        start - (path.contains("/") ? ttl * 2 : ttl) - .seconds(2)
    }

    func note() {
        var keys: [ObjectKey: Int64] = [:]
        for object in world.store.objects { keys[object.key] = object.size }
        model.note(keys, at: now)
    }

    func nextSize() -> Int64 {
        size += 1
        return size
    }

    func anyPath() -> String { ChangeModel.paths.randomElement(using: &generator)! }

    func split(_ path: String) -> (parent: String?, name: String) {
        let parts = path.split(separator: "/").map(String.init)
        return parts.count == 2 ? (parts[0], parts[1]) : (nil, parts[0])
    }

    // MARK: The kernel

    /// Looks a name up and waits; nil when it fails.
    func find(_ path: String) -> FileAttributes?? {
        let (parent, name) = split(path)
        var inode: InodeNumber = 1
        if let parent {
            guard case .some(.some(let found)) = find(parent), found.kind == .directory else {
                return nil
            }
            inode = found.inode
        }
        let start = now
        let box = world.startLookup(Array(name.utf8), in: inode)
        guard case .success(let answer) = world.wait(box) else { return nil }
        if let attributes = answer.attributes { known[attributes.inode, default: 0] += 1 }
        judge(path, answer.attributes, start)
        return .some(answer.attributes)
    }

    func state(_ attributes: FileAttributes?) -> ShownState {
        guard let attributes else { return .none }
        return attributes.kind == .directory ? .directory : .file(attributes.size)
    }

    func judge(_ path: String, _ attributes: FileAttributes?, _ start: Duration) {
        let possible = model.possible(path, from: oldest(path, start), to: now)
        let shown = state(attributes)
        if !possible.contains(shown) {
            problems.append("\(path) shows \(shown) at \(now), possible are \(possible)")
        }
    }

    // MARK: What happens

    func act() {
        switch Int.random(in: 0..<16, using: &generator) {
        case 0, 1, 2: write(anyPath())
        case 3: remove(anyPath())
        case 4: makeDirectory(ChangeModel.names.randomElement(using: &generator)!)
        case 5: renameFile(anyPath(), to: anyPath())
        case 6:
            renameDirectory(
                ChangeModel.names.randomElement(using: &generator)!,
                to: ChangeModel.names.randomElement(using: &generator)!)
        case 7: removeDirectory(ChangeModel.names.randomElement(using: &generator)!)
        case 8, 9: publish()
        case 10: putElsewhere()
        case 11:
            let object = world.store.objects.randomElement(using: &generator)
            if let object {
                log.append("\(now): delete \(object.key) elsewhere")
                world.store.delete(object.key)
            }
        case 12: startLookup()
        case 13: walk()
        case 14:
            let inode = known.keys.sorted().randomElement(using: &generator)
            if let inode, let count = known.removeValue(forKey: inode) {
                world.namespace.forget(inode: inode, count: count)
            }
            if generator.chance(0.2) {
                world.store.script(ScriptedFault(.list, error: .timedOut))
            }
        default:
            world.scheduler.advance(by: .milliseconds(Int.random(in: 0...900, using: &generator)))
        }
        note()
        for _ in 0..<Int.random(in: 0...5, using: &generator) { world.scheduler.step() }
        note()
    }

    func putElsewhere() {
        let path = anyPath()
        let key = ObjectKey(path + (generator.chance(0.1) ? "/" : ""))
        let bytes = key.bytes.last == 0x2F ? [] : [UInt8](repeating: 1, count: Int(nextSize()))
        log.append("\(now): put \(key) \(bytes.count) elsewhere")
        world.store.put(key, bytes)
    }

    func write(_ path: String) {
        guard let found = find(path), let parent = parentInode(path) else { return }
        if let found, found.kind == .directory { return }
        let size = nextSize()
        let inode: InodeNumber
        if let found {
            inode = found.inode
            guard world.namespace.change(inode, { $0.size = size }) != nil else { return }
        } else {
            let made = world.namespace.add(
                parent: parent, name: Array(split(path).name.utf8),
                record: NamespaceWorld.file(size), holding: true)
            guard let made else { return }
            inode = made.inode
            known[inode, default: 0] += 1
        }
        log.append("\(now): write \(path) \(size) as \(inode)")
        world.namespace.pin(inode)
        model.change(path, .file(size), inode: inode, parent: parent, at: now)
    }

    /// The inode of the directory a path is in, found just before.
    func parentInode(_ path: String) -> InodeNumber? {
        guard let parent = split(path).parent else { return 1 }
        return world.namespace.locked { state in
            let root = state.directories[1]!
            guard let place = state.place(of: Array(parent.utf8), in: root),
                place.entry.isDirectory, place.entry.flags.isDisjoint(with: [.gone])
            else { return nil }
            return place.entry.number
        }
    }

    func remove(_ path: String) {
        guard case .some(.some(let found)) = find(path), found.kind == .file,
            let parent = parentInode(path)
        else { return }
        log.append("\(now): remove \(path)")
        world.remove(split(path).name, in: parent)
        model.change(path, .none, inode: nil, parent: parent, at: now)
        if let left = world.namespace.attributes(of: found.inode) {
            if left.linkCount != 0 { problems.append("\(path): removed, but linked") }
        } else {
            problems.append("\(path): gone under its user")
        }
    }

    func makeDirectory(_ path: String) {
        guard case .some(.none) = find(path) else { return }
        guard let made = world.add(path, NamespaceWorld.folder) else { return }
        log.append("\(now): mkdir \(path) as \(made.inode)")
        known[made.inode, default: 0] += 1
        world.namespace.pin(made.inode)
        model.change(path, .directory, inode: made.inode, parent: 1, at: now)
    }

    func hasKeys(_ path: String, butMarker: Bool) -> Bool {
        let prefix = Array((path + "/").utf8)
        return world.store.objects.contains {
            $0.key.bytes.starts(with: prefix) && !(butMarker && $0.key.bytes == prefix)
        }
    }

    func hasChanges(_ path: String) -> Bool {
        ChangeModel.children.contains { model.unsettled[path + "/" + $0] != nil }
    }

    func removeDirectory(_ path: String) {
        guard case .some(.some(let found)) = find(path), found.kind == .directory,
            !hasKeys(path, butMarker: true), !hasChanges(path)
        else { return }
        log.append("\(now): rmdir \(path)")
        world.remove(path)
        model.change(path, .none, inode: nil, parent: 1, at: now)
    }

    func renameFile(_ path: String, to newPath: String) {
        guard path != newPath, let target = find(newPath), target?.kind != .directory,
            case .some(.some(let found)) = find(path), found.kind == .file,
            let source = parentInode(path), let parent = parentInode(newPath)
        else { return }
        // The target may have become a directory meanwhile.
        guard
            model.possible(newPath, from: oldest(newPath, now), to: now)
                .isDisjoint(with: [.directory])
        else { return }
        let result = world.move(
            split(path).name, to: split(newPath).name, from: source, into: parent)
        guard case .success(let moved) = result else { return }
        log.append("\(now): rename \(path) to \(newPath): \(moved)")
        if moved.inode != found.inode { problems.append("\(newPath): another inode") }
        world.namespace.pin(moved.inode)
        model.change(
            newPath, .file(found.size), inode: moved.inode, parent: parent, at: now)
        model.change(path, .none, inode: nil, parent: source, at: now)
    }

    func renameDirectory(_ path: String, to newPath: String) {
        guard path != newPath, case .some(.none) = find(newPath),
            case .some(.some(let found)) = find(path), found.kind == .directory,
            !hasKeys(newPath, butMarker: false), world.store.object(ObjectKey(newPath)) == nil,
            model.unsettled[newPath] == nil, model.unsettled[path] == nil, !hasChanges(newPath)
        else { return }
        let prefix = Array((path + "/").utf8)
        for object in world.store.objects where object.key.bytes.starts(with: prefix) {
            let rest = object.key.bytes.dropFirst(prefix.count)
            world.store.put(
                ObjectKey(Array((newPath + "/").utf8) + rest), object.bytes)
            world.store.delete(object.key)
        }
        guard case .success(let moved) = world.move(path, to: newPath) else {
            problems.append("\(path) was not renamed")
            return
        }
        log.append("\(now): rename directory \(path) to \(newPath): \(moved)")
        world.settle(path)
        world.settle(newPath)
        model.rename(path, to: newPath, at: now)
    }

    /// The oldest change comes into the bucket.
    func publish() {
        guard !model.pending.isEmpty else { return }
        let change = model.pending.removeFirst()
        defer { if let inode = change.inode { world.namespace.unpin(inode) } }
        guard model.unsettled[change.path]?.version == change.version else { return }
        log.append("\(now): publish \(change.path) \(change.state)")
        let key = ObjectKey(change.path)
        switch change.state {
        case .none:
            world.store.delete(key)
            world.store.delete(ObjectKey(change.path + "/"))
            world.settle(change.name, in: change.parent)
        case .directory:
            world.store.put(ObjectKey(change.path + "/"), [])
            world.settle(change.name, in: change.parent)
        case .file(let size):
            if world.namespace.key(of: change.inode!) != key {
                problems.append("\(key): published under another key")
            }
            let bytes = [UInt8](repeating: 1, count: Int(size))
            world.store.put(key, bytes)
            let object = world.store.object(key)!
            world.namespace.published(
                change.inode!,
                version: ObjectVersion(
                    key: key, etag: object.etag, size: size, modified: object.modified))
        }
        model.settle(change.path, at: now)
    }

    func startLookup() {
        let path = anyPath()
        guard let parent = parentInode(path) else { return }
        let box = world.startLookup(Array(split(path).name.utf8), in: parent)
        lookups.append((path, now, box))
    }

    func walk() {
        if walks.isEmpty || walks.count < 3 && generator.chance(0.4) {
            guard let answer = try? world.open() else { return }
            walks.append((answer.handle, now, [], 0))
            return
        }
        let index = Int.random(in: 0..<walks.count, using: &generator)
        let room = Int.random(in: 1...4, using: &generator)
        let isPlus = generator.chance(0.5)
        let rows = try? world.read(
            1, walks[index].handle, at: walks[index].offset, room: room, plus: isPlus)
        for row in rows ?? [] where row.hasEntry && isPlus {
            known[row.attributes.inode, default: 0] += 1
        }
        guard let rows, let last = rows.last else {
            world.release(1, walks[index].handle)
            let walk = walks.remove(at: index)
            if rows != nil { judge(walk.rows, walk.start) }
            return
        }
        walks[index].rows += rows.map(\.text)
        walks[index].offset = last.nextOffset
    }

    /// A whole walk: no name twice, none missing that was there all the time.
    func judge(_ rows: [String], _ start: Duration) {
        if Set(rows).count != rows.count { problems.append("repeated: \(rows)") }
        for name in ChangeModel.names {
            let possible = model.possible(name, from: oldest(name, start), to: now)
            // Something happened to it during the walk: it may show or not.
            if model.isTouched(name, since: start) { continue }
            if !possible.contains(.none), !rows.contains(name) {
                problems.append("readdir lacks \(name), \(possible)")
            }
            if possible == [.none], rows.contains(name) { problems.append("readdir has \(name)") }
        }
    }

    // MARK: What must hold

    func check(_ step: Int) {
        for broken in world.broken { problems.append("step \(step): \(broken)") }
        for (path, start, box) in lookups {
            guard let result = box.value else { continue }
            guard case .success(let answer) = result else { continue }
            if let attributes = answer.attributes { known[attributes.inode, default: 0] += 1 }
            if let parent = split(path).parent, model.isTouched(parent, since: start) { continue }
            judge(path, answer.attributes, start)
        }
        lookups.removeAll { $0.box.value != nil }
        for change in model.pending where model.unsettled[change.path]?.version == change.version {
            guard let inode = change.inode else { continue }
            let shown = world.namespace.attributes(of: inode)
            if state(shown) != change.state {
                problems.append("step \(step): \(change.path) shows \(state(shown))")
            }
            let place = world.namespace.parentAndName(of: inode)
            if place != NamePlace(parent: change.parent, name: Array(change.name.utf8)) {
                problems.append("step \(step): \(change.path) is at \(String(describing: place))")
            }
        }
    }

    /// Everything is published, and after the TTL the mount shows the bucket.
    func finish() {
        guard problems.isEmpty else { return }
        while !model.pending.isEmpty { publish() }
        note()
        world.scheduler.runUntilIdle()
        check(1000)
        while !world.store.unusedScripts.isEmpty {
            world.scheduler.advance(by: .seconds(12))
            _ = try? world.list()
        }
        for walk in walks { world.release(1, walk.handle) }
        world.scheduler.advance(by: .seconds(12))
        log.append("\(now): the end")
        for path in ChangeModel.paths {
            let first = model.possible(path, from: now, to: now)
            let found = find(path)
            if found == nil, !first.contains(.none) { problems.append("\(path) is not found") }
        }
        for (inode, count) in known { world.namespace.forget(inode: inode, count: count) }
        for broken in world.broken { problems.append("the end: \(broken)") }
        if world.namespace.locked({ !$0.pins.isEmpty || !$0.unlinked.isEmpty }) {
            problems.append("the end: inodes are kept for nobody")
        }
    }
}
