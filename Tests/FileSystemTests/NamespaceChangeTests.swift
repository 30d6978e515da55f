import FileSystem
import Operations
import S3
import Simulation
import Testing

@testable import FileSystem

@Suite struct NamespaceChangeTests {
    typealias World = NamespaceWorld

    @Test func aNewFileShowsAtOnceAndStaysUntilTheBucketHasIt() throws {
        let world = World()
        world.put("old")
        #expect(try world.names() == ["old"])
        let made = try #require(world.add("new", World.file(3)))
        #expect(made.size == 3 && made.permissions == 0o600 && made.uid == 7 && made.gid == 8)
        #expect(try world.names() == ["new", "old"])
        #expect(world.lookup("new")?.inode == made.inode)
        #expect(try world.attributes(made.inode).get().attributes == made)
        #expect(world.namespace.version(of: made.inode) == nil)
        for _ in 0..<3 {
            world.scheduler.advance(by: .seconds(100))
            #expect(try world.names() == ["new", "old"])
            #expect(world.lookup("new")?.inode == made.inode)
            #expect(world.broken == [])
        }
        world.publish(made.inode, "abc")
        #expect(world.namespace.isSettled(1))
        #expect(world.namespace.version(of: made.inode)?.size == 3)
        #expect(try world.names() == ["new", "old"])
        world.store.delete(ObjectKey("new"))
        world.scheduler.advance(by: .seconds(61))
        #expect(try world.names() == ["old"])
        #expect(world.lookup("new") == nil)
        #expect(world.broken == [])
    }

    @Test func aListingUnderWayDoesNotUndoAChange() throws {
        for isSettled in [false, true] {
            let world = World()
            world.put("gone")
            world.put("stays")
            let handle = try world.open().handle
            let reply = PageReply(room: 100, plus: true)
            // The listing travels while the names change, in the bucket too: it was asked before.
            world.namespace.readDirectory(inode: 1, handle: handle, offset: 0, reply: reply)
            world.scheduler.advance(by: .milliseconds(16))
            let made = try #require(world.add("new"))
            world.remove("gone")
            if isSettled {
                world.publish(made.inode, "x")
                world.store.delete(ObjectKey("gone"))
                world.settle("gone")
            }
            #expect(world.scheduler.runUntilIdle())
            #expect(Set(reply.page.rows.map(\.text)) == [".", "..", "new", "stays"])
            #expect(world.lookup("gone") == nil)
            #expect(world.lookup("new")?.inode == made.inode)
            #expect(try world.names() == ["new", "stays"])
            #expect(world.broken == [])
            if !isSettled {
                // Asked for after it, a listing still shows what the bucket has: it does not count.
                world.scheduler.advance(by: .seconds(61))
                #expect(try world.names() == ["new", "stays"])
            }
        }
    }

    @Test func aFlightUnderWayDoesNotUndoAChange() throws {
        let world = World()
        world.put("a")
        let a = world.startLookup(Array("a".utf8))
        let b = world.startLookup(Array("b".utf8))
        world.scheduler.advance(by: .milliseconds(16))
        world.remove("a")
        let made = try #require(world.add("b"))
        #expect(try world.wait(a).get().attributes == nil)
        #expect(try world.wait(b).get().attributes?.inode == made.inode)

        let settled = World()
        settled.put("a")
        let late = settled.startLookup(Array("a".utf8))
        settled.scheduler.advance(by: .milliseconds(16))
        settled.remove("a")
        settled.store.delete(ObjectKey("a"))
        settled.settle("a")
        #expect(try settled.wait(late).get().attributes == nil)
        #expect(settled.lookup("a") == nil && settled.broken == [])
    }

    @Test func aHeadUnderWayDoesNotUndoAChange() throws {
        let world = World()
        world.put("f", "1")
        let inode = world.lookup("f")!.inode
        let old = world.store.object(ObjectKey("f"))!.head
        let box = Box<Bool>()
        world.namespace.refresh(inode) { _ in box.set(true) }
        world.scheduler.advance(by: .milliseconds(16))
        world.namespace.change(inode) { $0.size = 4 }
        world.publish(inode, "4444")
        _ = world.wait(box)
        #expect(world.namespace.version(of: inode)?.size == 4)
        world.namespace.objectSeen(old, inode: inode)
        #expect(world.namespace.version(of: inode)?.size == 4, "a reader of the version before")
        #expect(world.lookup("f")?.size == 4)
        #expect(world.broken == [])
    }

    @Test func changedAttributesShowUntilPublished() throws {
        let world = World()
        world.put("f", "1")
        let file = world.lookup("f")!
        let version = world.namespace.version(of: file.inode)
        let changed = world.namespace.change(file.inode) {
            $0.size = 100
            $0.permissions = 0o400
            $0.modified = 9
        }
        #expect(changed?.size == 100 && changed?.permissions == 0o400 && changed?.modified == 9)
        #expect(changed?.inode == file.inode)
        #expect(world.namespace.version(of: file.inode) == version, "what can be read is as it was")
        world.scheduler.advance(by: .seconds(61))
        #expect(try world.list()[0].attributes == changed)
        #expect(world.lookup("f") == changed)
        #expect(world.namespace.change(999) { $0.size = 1 } == nil)
        world.publish(file.inode, String(repeating: "y", count: 100))
        #expect(world.lookup("f")?.permissions == 0o400)
        #expect(world.namespace.version(of: file.inode)?.size == 100)
    }

    @Test func aVersionFromElsewhereHasItsOwnAttributes() throws {
        let world = World()
        let made = try #require(world.add("f", World.file(1)))
        world.publish(made.inode, "1")
        world.scheduler.advance(by: .seconds(61))
        #expect(world.lookup("f") == made)
        world.put("f", "22")
        world.scheduler.advance(by: .seconds(61))
        let other = try #require(world.lookup("f"))
        #expect(other.inode == made.inode && other.size == 2 && other.permissions == 0o644)
        #expect(other.modified == world.store.object(ObjectKey("f"))?.modified)
    }

    @Test func furtherChangesOutliveAPublish() throws {
        let world = World()
        let inode = try #require(world.add("f", World.file(2))).inode
        world.store.put(ObjectKey("f"), [1, 2])
        let object = world.store.object(ObjectKey("f"))!
        world.namespace.change(inode) { $0.size = 5 }
        let version = ObjectVersion(
            key: object.key, etag: object.etag, size: 2, modified: object.modified)
        world.namespace.published(inode, version: version, settles: false)
        #expect(!world.namespace.isSettled(1))
        #expect(world.namespace.version(of: inode) == version)
        world.scheduler.advance(by: .seconds(61))
        #expect(world.lookup("f")?.size == 5)
    }

    @Test func aRemovedFileIsThereForItsUsers() throws {
        let world = World()
        world.put("f", "12")
        let inode = world.lookup("f")!.inode
        #expect(world.remove("f") == inode)
        #expect(try world.lookup("f") == nil && world.names().isEmpty)
        let shown = try world.attributes(inode).get().attributes
        #expect(shown.linkCount == 0 && shown.size == 2 && shown.inode == inode)
        #expect(world.namespace.key(of: inode) == nil)
        #expect(world.namespace.parentAndName(of: inode) == nil)
        #expect(world.namespace.path(of: inode) == "/f")
        #expect(world.namespace.version(of: inode)?.key == ObjectKey("f"))
        #expect(world.namespace.change(inode) { $0.size = 7 }?.size == 7)
        let again = try #require(world.add("f"))
        #expect(again.inode != inode && world.lookup("f")?.inode == again.inode)
        world.namespace.pin(inode)
        world.namespace.forget(inode: inode, count: 1)
        #expect(try world.attributes(inode).get().attributes.size == 7)
        world.namespace.unpin(inode)
        #expect(throws: Errno.stale) { try world.attributes(inode).get() }
        #expect(world.remove("never") == nil && world.broken == [])
    }

    @Test func aRenamedFileKeepsItsInode() throws {
        let world = World()
        world.put("d/a", "12")
        world.put("d/b", "3")
        let dir = world.lookup("d")!.inode
        let a = world.lookup("a", in: dir)!.inode
        let b = world.lookup("b", in: dir)!.inode
        #expect(world.move("none", to: "x") == .failure(.noEntry))
        #expect(world.move("a", to: "a", from: dir, into: dir) == .success(Moved(inode: a)))
        #expect(
            world.move("a", to: "b", from: dir, into: dir)
                == .success(Moved(inode: a, replaced: b)))
        #expect(world.lookup("b", in: dir)?.inode == a && world.lookup("a", in: dir) == nil)
        #expect(try world.names(dir) == ["b"])
        #expect(try world.attributes(b).get().attributes.linkCount == 0)
        #expect(world.namespace.key(of: a) == ObjectKey("d/b"))
        #expect(world.namespace.version(of: a)?.key == ObjectKey("d/a"), "where its bytes are")
        #expect(world.move("b", to: "c", from: dir) == .success(Moved(inode: a)))
        #expect(world.namespace.version(of: a)?.key == ObjectKey("d/a"))
        #expect(world.namespace.path(of: a) == "/c" && world.broken == [])
        #expect(
            world.namespace.parentAndName(of: a) == NamePlace(parent: 1, name: Array("c".utf8)))
        world.store.put(ObjectKey("c"), [1, 2])
        world.store.delete(ObjectKey("d/a"))
        world.store.delete(ObjectKey("d/b"))
        world.settle("c")
        world.settle("a", in: dir)
        world.settle("b", in: dir)
        #expect(world.namespace.version(of: a)?.key == ObjectKey("c"))
        world.scheduler.advance(by: .seconds(61))
        #expect(try world.names() == ["c", "d"], "the directory outlives its last file")
        #expect(try world.names(dir) == [])
        #expect(world.lookup("c")?.inode == a && world.broken == [])
    }

    @Test func publishingUnderAFormerName() throws {
        let world = World()
        let inode = try #require(world.add("a", World.file(1))).inode
        #expect(world.move("a", to: "b") == .success(Moved(inode: inode)))
        world.store.put(ObjectKey("a"), [1])
        let object = world.store.object(ObjectKey("a"))!
        let version = ObjectVersion(
            key: object.key, etag: object.etag, size: 1, modified: object.modified)
        world.namespace.published(inode, version: version)
        #expect(world.namespace.version(of: inode) == version)
        world.scheduler.advance(by: .seconds(61))
        #expect(try world.names() == ["b"], "the copy is still to come, and the deletion")
        world.remove("b")
        world.namespace.published(inode, version: version)
        #expect(try world.namespace.version(of: inode) == version && world.names().isEmpty)
    }

    @Test func aRenamedDirectoryTakesEverythingAlong() throws {
        let world = World()
        world.put("d/e/f", "1")
        world.put("d/e/g", "1")
        let d = world.lookup("d")!.inode
        let e = world.lookup("e", in: d)!.inode
        #expect(try world.names(e) == ["f", "g"])
        let f = world.lookup("f", in: e)!.inode
        let made = try #require(world.add("new", in: e)).inode
        #expect(world.move("d", to: "x", from: 1, into: e) == .failure(.invalid))
        #expect(world.move("d", to: "x", from: 1, into: d) == .failure(.invalid))
        #expect(world.move("d", to: "z") == .success(Moved(inode: d)))
        #expect(world.namespace.key(of: f) == ObjectKey("z/e/f"))
        #expect(world.namespace.key(of: made) == ObjectKey("z/e/new"))
        #expect(world.namespace.key(of: d) == ObjectKey("z/"))
        world.store.resetRequests()
        #expect(try world.names(e) == ["f", "g", "new"])
        #expect(world.store.count() == 0 && world.lookup("d") == nil && world.broken == [])
        for name in ["f", "g"] {
            world.put("z/e/" + name, "1")
            world.store.delete(ObjectKey("d/e/" + name))
        }
        world.settle("d")
        world.settle("z")
        world.publish(made, "n")
        world.scheduler.advance(by: .seconds(61))
        #expect(try world.names() == ["z"])
        #expect(try world.names(e) == ["f", "g", "new"])
        #expect(world.lookup("f", in: e)?.inode == f && world.broken == [])
    }

    @Test func aListingUnderWayFollowsARename() throws {
        let world = World()
        for index in 1000..<3500 { world.put("d/\(index)") }
        let d = world.lookup("d")!.inode
        let handle = try world.open(d).handle
        var rows = try world.read(d, handle, at: 0, room: 5000)
        #expect(world.move("d", to: "z") == .success(Moved(inode: d)))
        for index in 1000..<3500 {
            world.put("z/\(index)")
            world.store.delete(ObjectKey("d/\(index)"))
        }
        world.settle("z")
        while true {
            let page = try world.read(d, handle, at: rows.last!.nextOffset, room: 5000)
            if page.isEmpty { break }
            rows += page
        }
        let names = rows.map(\.text).filter { $0 != "." && $0 != ".." }
        #expect(names == (1000..<3500).map(String.init))
        #expect(world.broken == [])
    }

    @Test func aNewDirectoryIsKnownToBeEmpty() throws {
        let world = World()
        _ = try world.list()
        let made = try #require(world.add("d", World.folder))
        #expect(made.kind == .directory && made.permissions == 0o700)
        world.store.resetRequests()
        #expect(world.lookup("x", in: made.inode) == nil)
        #expect(try world.names(made.inode).isEmpty)
        let file = try #require(world.add("f", in: made.inode))
        #expect(try world.names(made.inode) == ["f"])
        #expect(world.namespace.key(of: file.inode) == ObjectKey("d/f"))
        #expect(world.store.count() == 0)
        #expect(world.namespace.marker(of: made.inode) == .absent)
        world.scheduler.advance(by: .seconds(100))
        #expect(try world.names() == ["d"] && world.names(made.inode) == ["f"])
        world.store.put(ObjectKey("d/"), [])
        world.settle("d")
        #expect(world.namespace.marker(of: made.inode) == .present)
        world.remove("f", in: made.inode)
        world.settle("f", in: made.inode)
        world.scheduler.advance(by: .seconds(100))
        #expect(try world.names() == ["d"] && world.names(made.inode) == [])
        #expect(world.lookup("d")?.inode == made.inode && world.broken == [])
    }

    @Test func aDirectoryOutlivesItsLastFile() throws {
        let world = World()
        world.put("a/b/c/f")
        let a = world.lookup("a")!.inode
        let b = world.lookup("b", in: a)!.inode
        let c = world.lookup("c", in: b)!.inode
        world.store.delete(ObjectKey("a/b/c/f"))
        world.remove("f", in: c)
        world.settle("f", in: c)
        for _ in 0..<2 {
            world.scheduler.advance(by: .seconds(61))
            #expect(world.lookup("a")?.inode == a)
            #expect(world.lookup("b", in: a)?.inode == b)
            #expect(try world.names() == ["a"] && world.names(b) == ["c"])
            #expect(try world.names(c).isEmpty && world.broken == [])
        }
        #expect(world.namespace.contents(of: b)?.hasLocalNames == true)
        #expect(world.namespace.contents(of: c)?.isKnownEmpty == true)
        #expect(world.remove("c", in: b) == c)
        #expect(world.namespace.contents(of: b)?.hasLocalNames == false)
        #expect(world.namespace.contents(of: b)?.removed == [Array("c".utf8)])
        #expect(try world.attributes(c).get().attributes.linkCount == 0)
        #expect(world.lookup(Array("f".utf8), in: c) == .failure(.noEntry))
        #expect(world.add("f", in: c) == nil)
        for (name, parent) in [("b", a), ("a", 1)] {
            world.remove(name, in: parent)
            world.settle(name, in: parent)
        }
        world.scheduler.advance(by: .seconds(61))
        #expect(try world.names().isEmpty && world.broken == [])
    }

    @Test func aDirectoryWithUnpublishedFilesIsNotLost() throws {
        let world = World()
        world.put("d/old")
        let d = world.lookup("d")!.inode
        let made = try #require(world.add("new", in: d)).inode
        world.store.delete(ObjectKey("d/old"))
        world.scheduler.advance(by: .seconds(61))
        #expect(try world.names() == ["d"] && world.names(d) == ["new"])
        #expect(world.lookup("d")?.inode == d && world.lookup("new", in: d)?.inode == made)
        world.publish(made, "n")
        world.scheduler.advance(by: .seconds(61))
        #expect(try world.names(d) == ["new"])
        world.store.delete(ObjectKey("d/new"))
        world.scheduler.advance(by: .seconds(61))
        #expect(world.lookup("d") == nil, "now the bucket rules")
    }

    @Test func anOpenDirectoryThatIsRemovedReadsAsEmpty() throws {
        let world = World()
        let made = try #require(world.add("d", World.folder)).inode
        let handle = try world.open(made).handle
        world.remove("d")
        #expect(try world.read(made, handle, at: 0).isEmpty)
        world.release(made, handle)
        #expect(throws: Errno.noEntry) { try world.open(made) }
        world.namespace.forget(inode: made, count: 1)
        #expect(world.broken == [])
    }

    @Test func aChangeInMidWalkNeitherLosesNorRepeatsAName() throws {
        let world = World()
        for name in ["a", "b", "c", "d", "e"] { world.put(name) }
        _ = try world.list()
        let handle = try world.open().handle
        var rows = try world.read(1, handle, at: 0, room: 4)
        #expect(rows.map(\.text) == [".", "..", "a", "b"])
        world.remove("c")
        _ = world.add("new")
        _ = world.move("e", to: "b")
        _ = world.move("new", to: "a")
        _ = world.add("last")
        rows += try world.read(1, handle, at: rows.last!.nextOffset)
        #expect(rows.dropFirst(2).map(\.text) == ["a", "b", "d", "last"])
        #expect(try world.names() == ["a", "b", "d", "last"])
    }

    @Test func neitherForgetNorTheMemoryLimitTakeAChange() throws {
        let world = World(memoryLimit: 1)
        for index in 0..<50 { world.put("d/\(index)") }
        let d = world.lookup("d")!.inode
        _ = try world.list(d, plus: false)
        let made = try #require(world.add("new", in: d, holding: false)).inode
        let removed = world.lookup("7", in: d)!.inode
        #expect(world.remove("7", in: d) == removed)
        world.namespace.forget(inode: d, count: 100)
        _ = try world.list()
        let back = try #require(world.lookup("d")).inode
        #expect(world.lookup("new", in: back)?.inode == made)
        #expect(world.lookup("7", in: back) == nil)
        #expect(world.broken == [])
        world.namespace.pin(made)
        world.publish(made, "x")
        world.namespace.forget(inode: made, count: 1)
        #expect(world.namespace.key(of: made) == ObjectKey("d/new"))
        world.namespace.unpin(made)
        #expect(world.namespace.key(of: made) == nil && world.broken == [])
    }

    @Test func aWithdrawnChangeGivesWayToTheBucket() throws {
        let world = World()
        world.put("f", "1")
        world.put("g", "1")
        _ = try world.list()
        let made = try #require(world.add("new")).inode
        let f = world.lookup("f")!.inode
        world.namespace.change(f) { $0.size = 50 }
        world.remove("g")
        world.namespace.remove(parent: 1, name: Array("unknown".utf8))
        for name in ["new", "f", "g", "unknown"] {
            world.namespace.withdraw(parent: 1, name: Array(name.utf8))
        }
        #expect(world.lookup("f")?.size == 1 && world.lookup("f")?.inode == f)
        #expect(world.lookup("g")?.size == 1 && world.lookup("new") == nil)
        #expect(try world.names() == ["f", "g"])
        #expect(try world.attributes(made).get().attributes.linkCount == 0)
        #expect(world.broken == [])
    }

    @Test func resolveTellsWhatIsUnderAName() throws {
        let world = World()
        world.put("f", "1")
        world.put("d/x")
        guard case .success(.file(let f, let version?)) = world.resolve("f", pinning: true) else {
            Issue.record("no file")
            return
        }
        #expect(version.size == 1 && world.namespace.key(of: f) == ObjectKey("f"))
        world.namespace.unpin(f)
        #expect(world.namespace.key(of: f) == nil, "no lookup was counted")
        guard case .success(.directory) = world.resolve("d") else {
            Issue.record("no directory")
            return
        }
        #expect(world.resolve("none") == .success(.none))
        let made = try #require(world.add("new")).inode
        #expect(world.resolve("new") == .success(.file(made, nil)))
        #expect(world.resolve("x", in: made) == .failure(.notDirectory))
        #expect(world.resolve("x", in: 999) == .failure(.stale))
        #expect(world.resolve(String(repeating: "x", count: 256)) == .failure(.nameTooLong))
        world.store.script(ScriptedFault(.list, error: .timedOut))
        world.store.script(ScriptedFault(.head, error: .timedOut))
        #expect(world.resolve("other") == .failure(.timedOut))
        #expect(world.broken == [])
    }

    @Test func onlyNamesThatShowAsTheyAreCanBeMade() {
        let world = World(rootPrefix: "base/")
        let key = { (name: String, isDirectory: Bool) in
            world.namespace.key(parent: 1, name: Array(name.utf8), directory: isDirectory)
                .map(\.description)
        }
        #expect(key("a", false) == .success("base/a"))
        #expect(key("a", true) == .success("base/a/"))
        #expect(key("..@pail-name", false) == .success("base/.."))
        #expect(key("@pail-name", true) == .success("base//"))
        #expect(key("@pail-name", false) == .failure(.invalid))
        #expect(key("a@pail-file@pail-name", false) == .success("base/a@pail-file"))
        for name in ["a@pail-name", "a@pail-file", "a@pail-more", ".", "..", "a/b"] {
            #expect(key(name, false) == .failure(.invalid), "\(name)")
        }
        let long = String(repeating: "x", count: 255)
        #expect(key(long, false) == .success("base/" + long))
        #expect(key(long + "x", false) == .failure(.nameTooLong))
        var parent: InodeNumber = 1
        for _ in 0..<3 { parent = world.add(long, World.folder, in: parent)!.inode }
        let deep = { (count: Int, isDirectory: Bool) in
            world.namespace.key(
                parent: parent, name: Array(long.utf8.prefix(count)), directory: isDirectory)
        }
        #expect((try? deep(251, false).get())?.bytes.count == 1024)
        #expect(deep(252, false) == .failure(.nameTooLong))
        #expect(deep(251, true) == .failure(.nameTooLong))
    }
}
