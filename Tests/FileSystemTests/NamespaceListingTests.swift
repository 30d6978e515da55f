import FileSystem
import Logging
import Operations
import S3
import Scheduling
import Simulation
import Synchronization
import Testing

@Suite struct NamespaceListingTests {
    @Test func theFirstNamesDoNotWaitForTheLast() throws {
        let world = NamespaceWorld()
        for index in 100_000..<105_000 { world.put("f\(index)") }
        let handle = try world.open().handle
        let start = world.scheduler.now
        let rows = try world.read(1, handle, at: 0, room: 5000)
        #expect(rows.count > 900 && rows.count < 1003)
        #expect(world.scheduler.now - start == .milliseconds(30))
        #expect(world.store.count(.list) == 2, "the next page is asked for already")
        var all = rows
        while true {
            let more = try world.read(1, handle, at: all.last!.nextOffset, room: 5000)
            if more.isEmpty { break }
            all += more
        }
        #expect(all.count == 5002)
        #expect(world.scheduler.now - start == .milliseconds(150))
        let inodes = all.dropFirst(2).map(\.attributes.inode)
        #expect(inodes == inodes.sorted(), "cp and tar sort by inode")
        #expect(all.dropFirst(2).allSatisfy { $0.attributes.size == 1 })
    }

    @Test func objectsAndPrefixesOfOneNameMeetAcrossPages() throws {
        for seed in UInt64(1)...30 {
            let world = NamespaceWorld(seed: seed)
            world.store.faults.shortPages = 0.9
            for key in [
                "a", "a!", "a-1", "a-2", "a.b", "a.b/c", "a/x", "a/y", "a0", "ab", "b/", "b/c",
            ] {
                world.put(key)
            }
            let rows = try world.list(room: 2)
            #expect(
                Set(rows.map(\.text)) == [
                    "a", "a@pail-file", "a!", "a-1", "a-2", "a.b", "a.b@pail-file", "a0", "ab", "b",
                ], "seed \(seed)")
            #expect(rows.count == 10)
        }
    }

    @Test func aSnapshotSurvivesChangesInMidListing() throws {
        for seed in UInt64(1)...20 {
            var generator = SeededGenerator(seed: seed)
            let world = NamespaceWorld(seed: seed, ttl: .seconds(1))
            for index in 0..<300 { world.put("f\(1000 + index)") }
            let handle = try world.open().handle
            var offsets: [UInt64] = [0]
            var names: [String] = []
            while true {
                let room = Int.random(in: 1...20, using: &generator)
                let page = try world.read(1, handle, at: offsets.last!, room: room)
                if page.isEmpty { break }
                names += page.map(\.text)
                offsets.append(page.last!.nextOffset)
                // Another client changes the bucket, and another program lists it anew.
                world.store.delete(ObjectKey("f\(Int.random(in: 1000..<1300, using: &generator))"))
                world.put("f\(Int.random(in: 1000..<1300, using: &generator))x")
                world.scheduler.advance(by: .milliseconds(300))
                if generator.chance(0.3) { _ = try world.list() }
            }
            #expect(names.count == Set(names).count, "seed \(seed): repeated")
            for index in 1000..<1300 where world.store.object(ObjectKey("f\(index)")) != nil {
                #expect(names.contains("f\(index)"), "seed \(seed): lost f\(index)")
            }
            // seekdir: the same place gives the same names.
            let place = offsets[offsets.count / 2]
            let again = try world.read(1, handle, at: place, room: 5).map(\.text)
            #expect(again.allSatisfy { names.contains($0) })
            // rewinddir: today's names.
            world.scheduler.advance(by: .seconds(2))
            var rows = try world.read(1, handle, at: 0)
            while let last = rows.last {
                let more = try world.read(1, handle, at: last.nextOffset)
                if more.isEmpty { break }
                rows += more
            }
            let today = Set(world.store.objects.map { $0.key.description })
            let isSame = Set(rows.dropFirst(2).map(\.text)) == today
            #expect(isSame, "seed \(seed)")
        }
    }

    @Test func theKernelKeepsNamesItWasGivenWhileTheyAreFresh() throws {
        let world = NamespaceWorld()
        world.put("f")
        let first = try world.open()
        #expect(!first.keepCache && first.cacheDirectory)
        _ = try world.read(1, first.handle, at: 0)
        #expect(try world.open().keepCache)
        world.scheduler.advance(by: .seconds(61))
        #expect(try !world.open().keepCache)
    }

    @Test func siblingsComeFromMemoryInListingOrder() throws {
        let world = NamespaceWorld()
        for name in ["d/a", "d/b/c", "d/c", "d/d"] { world.put(name) }
        let dir = world.lookup("d")!.inode
        let single = world.lookup("c", in: dir)!.inode
        #expect(world.namespace.position(of: single) == nil)
        let rows = try world.list(dir)
        world.store.resetRequests()
        let place = try #require(world.namespace.position(of: single))
        #expect(place.directory == dir && rows.first { $0.text == "c" }?.attributes.inode == single)
        let files = world.namespace.files(in: dir, from: place.index + 1, limit: 5)
        #expect(files.map(\.version.key) == [ObjectKey("d/d")])
        #expect(world.namespace.files(in: dir, from: 0, limit: 2).count == 2)
        #expect(world.store.count() == 0)
    }

    @Test func aRecursiveWalkIsListedAhead() throws {
        let world = NamespaceWorld()
        for directory in 0..<100 {
            for file in 0..<100 { world.put("dir\(100 + directory)/f\(file)") }
        }
        let start = world.scheduler.now
        var files = 0
        var stack: [InodeNumber] = [1]
        while let inode = stack.popLast() {
            let rows = try world.list(inode)
            files += rows.count { $0.attributes.kind == .file }
            let children = rows.filter { $0.attributes.kind == .directory }
            stack += children.map(\.attributes.inode).reversed()
        }
        let elapsed = world.scheduler.now - start
        print("ls -lR of 10,000 objects in 100 prefixes, 30 ms: \(elapsed)")
        #expect(files == 10_000)
        #expect(world.store.count() == 101)
        #expect(elapsed < .milliseconds(450))
    }

    @Test func aDeepTreeIsListedAheadToo() throws {
        let world = NamespaceWorld()
        for year in 0..<4 {
            for month in 0..<12 {
                for day in 0..<10 { world.put("y\(year)/m\(10 + month)/d\(10 + day)/f") }
            }
        }
        let start = world.scheduler.now
        var files = 0
        func walk(_ inode: InodeNumber) throws {
            for row in try world.list(inode) {
                if row.attributes.kind == .file {
                    files += 1
                } else {
                    try walk(row.attributes.inode)
                }
            }
        }
        try walk(1)
        let elapsed = world.scheduler.now - start
        print("walk of 533 directories, three deep, 30 ms: \(elapsed)")
        #expect(files == 480)
        #expect(elapsed < .milliseconds(533 * 30 / 5))
    }

    @Test func openingsWithoutAPatternListNothingAhead() throws {
        let world = NamespaceWorld()
        for directory in 0..<100 { world.put("dir\(100 + directory)/f") }
        let rows = try world.list()
        world.store.resetRequests()
        for index in [50, 20, 80, 10, 60, 30, 90, 40] {
            _ = try world.list(rows[index].attributes.inode)
        }
        world.scheduler.runUntilIdle()
        #expect(world.store.count() == 8)
    }

    @Test func idleListingsAreBounded() throws {
        let world = NamespaceWorld(ttl: nil, memoryLimit: 200_000, roundTrip: .milliseconds(1))
        for directory in 0..<60 {
            for file in 0..<100 { world.put("dir\(100 + directory)/file\(file)") }
        }
        for round in 0..<2 {
            for row in try world.list() where row.attributes.kind == .directory {
                for file in try world.list(row.attributes.inode) {
                    world.namespace.forget(inode: file.attributes.inode, count: 1)
                }
                world.namespace.forget(inode: row.attributes.inode, count: 1)
            }
            let memory = world.namespace.memory
            #expect(memory.idle <= 200_000, "round \(round)")
            #expect(memory.directories < 40 && memory.inodes < 45, "\(memory)")
        }
    }
}
