// Random operations by a small kernel, random changes of the bucket, random faults and delays: no
// answer is lost, the tables agree at every step, and once all is quiet and the TTL has passed, the
// mount shows the bucket.

import FileSystem
import Operations
import S3
import Simulation
import Testing

@testable import FileSystem

@Suite struct NamespaceFuzzTests {
    @Test(arguments: UInt64(1)...60)
    func theTablesAgreeAndTheBucketShows(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed &* 7919)
        let ttl: Duration? = [.zero, .seconds(1), .seconds(1), .seconds(5)][Int(seed % 4)]
        let world = NamespaceWorld(
            seed: seed, ttl: ttl, memoryLimit: seed % 3 == 0 ? 3000 : 1 << 20)
        world.store.faults.delay = .zero ... .milliseconds(40)
        world.store.faults.shortPages = 0.6
        let names = ["a", "b", "c", "a-1", "a.b", "d", "é", "@pail-file", "x@pail-name"]
        let randomKey = { (generator: inout SeededGenerator) -> ObjectKey in
            var parts: [String] = []
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                parts.append(names.randomElement(using: &generator)!)
            }
            return ObjectKey(parts.joined(separator: "/") + (generator.chance(0.1) ? "/" : ""))
        }
        for _ in 0..<40 { world.store.put(randomKey(&generator), generator.bytes(2)) }

        var known: [InodeNumber: UInt64] = [:]
        var handles: [(inode: InodeNumber, handle: HandleNumber, offset: UInt64)] = []
        var lookups: [Box<Result<EntryAnswer, Errno>>] = []
        var reads: [PageReply] = []
        var opens: [(InodeNumber, Box<Result<OpenAnswer, Errno>>)] = []
        var others: [Box<Bool>] = []
        for step in 0..<400 {
            let inodes = [1] + known.keys.sorted()
            let inode = inodes.randomElement(using: &generator)!
            switch Int.random(in: 0..<12, using: &generator) {
            case 0, 1, 2:
                let name = Array(names.randomElement(using: &generator)!.utf8)
                lookups.append(world.startLookup(name, in: inode))
            case 3:
                let box = Box<Result<OpenAnswer, Errno>>()
                world.namespace.openDirectory(inode: inode, reply: Reply { box.set($0) })
                opens.append((inode, box))
            case 4, 5:
                guard !handles.isEmpty else { break }
                let index = Int.random(in: 0..<handles.count, using: &generator)
                let reply = PageReply(
                    room: Int.random(in: 1...5, using: &generator), plus: generator.chance(0.7))
                world.namespace.readDirectory(
                    inode: handles[index].inode, handle: handles[index].handle,
                    offset: generator.chance(0.1) ? 0 : handles[index].offset, reply: reply)
                reads.append(reply)
                handles[index].offset += 2
            case 6:
                guard !handles.isEmpty else { break }
                let index = Int.random(in: 0..<handles.count, using: &generator)
                world.release(handles[index].inode, handles[index].handle)
                handles.remove(at: index)
            case 7:
                guard inode != 1, let count = known[inode] else { break }
                // Only what no operation of ours still names.
                let give = UInt64.random(in: 1...count, using: &generator)
                world.namespace.forget(inode: inode, count: give)
                known[inode] = give == count ? nil : count - give
            case 8: world.store.put(randomKey(&generator), generator.bytes(3))
            case 9:
                if let key = world.store.objects.randomElement(using: &generator)?.key {
                    world.store.delete(key)
                }
            case 10:
                if generator.chance(0.2) {
                    world.store.script(ScriptedFault(.list, error: .timedOut))
                }
                if generator.chance(0.3) { world.namespace.objectChanged(inode) }
                let box = Box<Bool>()
                others.append(box)
                if generator.chance(0.5) {
                    world.namespace.refresh(inode) { _ in box.set(true) }
                } else {
                    world.namespace.getAttributes(inode: inode, reply: Reply { _ in box.set(true) })
                }
            default:
                world.scheduler.advance(
                    by: .milliseconds(Int.random(in: 0...300, using: &generator)))
            }
            for _ in 0..<Int.random(in: 0...6, using: &generator) { world.scheduler.step() }
            collect(&lookups, &reads, &opens, &known, &handles)
            let broken = world.namespace.locked { $0.brokenInvariants() }
            if !broken.isEmpty {
                Issue.record("seed \(seed), step \(step): \(broken)")
                return
            }
        }
        #expect(world.scheduler.runUntilIdle())
        collect(&lookups, &reads, &opens, &known, &handles)
        #expect(lookups.isEmpty && reads.isEmpty && opens.isEmpty, "seed \(seed): unanswered")
        #expect(others.allSatisfy { $0.value == true }, "seed \(seed): unanswered")
        try compare(world, seed: seed)
        for (inode, handle, _) in handles { world.release(inode, handle) }
        for (inode, count) in known { world.namespace.forget(inode: inode, count: count) }
        let broken = world.namespace.locked { $0.brokenInvariants() }
        #expect(broken.isEmpty, "seed \(seed)")
    }

    /// What the kernel does with answers.
    private func collect(
        _ lookups: inout [Box<Result<EntryAnswer, Errno>>], _ reads: inout [PageReply],
        _ opens: inout [(InodeNumber, Box<Result<OpenAnswer, Errno>>)],
        _ known: inout [InodeNumber: UInt64],
        _ handles: inout [(inode: InodeNumber, handle: HandleNumber, offset: UInt64)]
    ) {
        for box in lookups {
            if let answer = try? box.value?.get(), let inode = answer.attributes?.inode {
                known[inode, default: 0] += 1
            }
        }
        lookups.removeAll { $0.value != nil }
        for reply in reads where reply.page.outcome != nil && reply.plus {
            for row in reply.page.rows where row.hasEntry {
                known[row.attributes.inode, default: 0] += 1
            }
        }
        reads.removeAll { $0.page.outcome != nil }
        for (inode, box) in opens {
            if let answer = try? box.value?.get() { handles.append((inode, answer.handle, 0)) }
        }
        opens.removeAll { $0.1.value != nil }
    }

    /// After the TTL, the tree by readdir and by lookup is the bucket.
    private func compare(_ world: NamespaceWorld, seed: UInt64) throws {
        for fault in world.store.unusedScripts { _ = fault }
        while !world.store.unusedScripts.isEmpty {
            _ = try? world.list()
            world.scheduler.advance(by: .seconds(6))
        }
        world.scheduler.advance(by: .seconds(6))
        var found: [ObjectKey: Int64] = [:]
        func walk(_ inode: InodeNumber) throws {
            for row in try world.list(inode) {
                let looked = try world.lookup(row.name, in: inode).get()
                #expect(looked?.inode == row.attributes.inode, "seed \(seed)")
                if row.attributes.kind == .directory {
                    try walk(row.attributes.inode)
                } else if let version = world.namespace.version(of: row.attributes.inode) {
                    found[version.key] = version.size
                    #expect(version.etag == world.store.object(version.key)?.etag, "seed \(seed)")
                }
            }
        }
        try walk(1)
        let expected = world.store.objects.filter { !($0.key.bytes.last == 0x2F && $0.size == 0) }
        let isSame = found == Dictionary(uniqueKeysWithValues: expected.map { ($0.key, $0.size) })
        #expect(isSame, "seed \(seed): \(found.keys.sorted()) \(expected.map(\.key))")
    }
}
