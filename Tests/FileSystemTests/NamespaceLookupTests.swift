import FileSystem
import Operations
import S3
import Simulation
import Testing

@Suite struct NamespaceLookupTests {
    @Test func anUnknownNameCostsOneRoundTripOfTwoRequests() {
        let world = NamespaceWorld()
        world.put("dir/a", "hello")
        world.put("file", "hello")
        world.put("both", "x")
        world.put("both/c", "x")
        for (name, kind) in [
            ("dir", FileAttributes.Kind.directory), ("file", .file), ("both", .directory),
        ] {
            let start = world.scheduler.now
            world.store.resetRequests()
            let found = world.lookup(name)
            #expect(found?.kind == kind)
            #expect(world.scheduler.now - start == .milliseconds(30))
            #expect(world.store.count() == 2)
            #expect(found?.permissions == (kind == .file ? 0o644 : 0o755))
            #expect(found?.linkCount == 1 && found?.uid == 10 && found?.gid == 20)
        }
        #expect(world.lookup("file")?.size == 5)
        #expect(world.lookup("both@pail-file")?.kind == .file)
    }

    @Test func anEscapedNameThatNoKeyNeedsDoesNotExist() throws {
        let world = NamespaceWorld()
        world.put("file", "x")
        world.put("dir/a", "x")
        for _ in 0..<2 {
            for name in [
                "file@pail-file", "file@pail-name", "@pail-file", "dir@pail-file", "x@pail-more",
            ] {
                #expect(world.lookup(name) == nil)
            }
            _ = try world.list()
        }
    }

    @Test func aListedDirectoryAnswersFromMemory() throws {
        let world = NamespaceWorld()
        for index in 0..<50 { world.put("d/f\(index)") }
        let dir = try #require(world.lookup("d"))
        let rows = try world.list(dir.inode)
        #expect(rows.count == 50)
        world.store.resetRequests()
        for index in 0..<50 { #expect(world.lookup("f\(index)", in: dir.inode) != nil) }
        #expect(world.lookup("missing", in: dir.inode) == nil)
        #expect(world.store.count() == 0)
    }

    @Test func everybodyWhoAsksForANameSharesTheRequests() {
        let world = NamespaceWorld()
        world.put("file")
        let boxes = (0..<20).map { _ in world.startLookup(Array("file".utf8)) }
        let inodes = boxes.map { try? world.wait($0).get().attributes?.inode }
        #expect(Set(inodes).count == 1 && inodes[0] != nil)
        #expect(world.store.count() == 2)
    }

    @Test func aStormOfNamesListsTheDirectoryInTheBackground() {
        let world = NamespaceWorld()
        for index in 0..<500 { world.put("img/\(index).jpg") }
        let dir = world.lookup("img")!
        for index in 0..<4 { _ = world.lookup("\(index).jpg", in: dir.inode) }
        world.scheduler.runUntilIdle()
        world.store.resetRequests()
        for index in 0..<500 { #expect(world.lookup("\(index).jpg", in: dir.inode) != nil) }
        for index in 0..<500 { #expect(world.lookup("no\(index)", in: dir.inode) == nil) }
        #expect(world.store.count() == 0)
    }

    @Test func aStormInAHugeDirectoryIsGivenUpAfterTenPages() {
        let world = NamespaceWorld(roundTrip: .milliseconds(1))
        for index in 0..<11_500 { world.put("img/\(index)") }
        let dir = world.lookup("img")!
        for index in 0..<40 {
            #expect(world.lookup("none\(index)", in: dir.inode) == nil)
            world.scheduler.runUntilIdle()
        }
        let lists = world.store.requests.filter {
            $0.list?.prefix == Array("img/".utf8) && $0.list?.maxKeys == 1000
        }
        #expect(lists.count == 10)
    }

    @Test func aForbiddenObjectIsShownWhenTheListingHasIt() throws {
        let world = NamespaceWorld()
        world.put("secret", "12345")
        for name in ["secret", "nothing"] {
            world.store.script(ScriptedFault(.head, error: .accessDenied))
            let found = try world.lookup(Array(name.utf8)).get()
            #expect((found?.size == 5) == (name == "secret"))
        }
    }

    @Test func withoutTheRightToListOnlyObjectsAreSeen() throws {
        let world = NamespaceWorld()
        world.put("file", "12345")
        world.store.script(ScriptedFault(.list, error: .accessDenied))
        #expect(world.lookup("file")?.size == 5)
        world.store.script(ScriptedFault(.list, error: .accessDenied))
        world.store.script(ScriptedFault(.head, error: .accessDenied))
        #expect(throws: Errno.accessDenied) { try world.lookup(Array("other".utf8)).get() }
    }

    @Test func aDeniedListIsNoProofOfAbsence() throws {
        let world = NamespaceWorld()
        world.put("directory/file")
        world.store.script(ScriptedFault(.list, error: .accessDenied))
        #expect(throws: Errno.accessDenied) { try world.lookup(Array("directory".utf8)).get() }
        // Nothing was remembered: once permitted, it is there at once.
        #expect(world.lookup("directory")?.kind == .directory)
    }

    @Test func failuresBecomeErrnosAndAreNotRemembered() throws {
        let world = NamespaceWorld()
        world.put("file")
        world.store.script(ScriptedFault(.list, error: .timedOut))
        #expect(throws: Errno.timedOut) { try world.lookup(Array("file".utf8)).get() }
        #expect(world.lookup("file") != nil)
        #expect(throws: Errno.nameTooLong) {
            try world.lookup(Array(repeating: 97, count: 256)).get()
        }
        let file = world.lookup("file")!
        #expect(throws: Errno.notDirectory) { try world.lookup([97], in: file.inode).get() }
        #expect(throws: Errno.stale) { try world.lookup([97], in: 999).get() }
        world.store.script(ScriptedFault(.list, error: .unavailable))
        #expect(throws: Errno.inputOutput) { _ = try world.list() }
        #expect(try world.list().count == 1)
    }

    @Test func markersGiveTheirTimeAndKeepTheirBody() throws {
        let world = NamespaceWorld()
        world.put("empty/", "")
        world.put("full/", "body")
        let empty = try #require(world.lookup("empty"))
        #expect(empty.kind == .directory && empty.modified > 1_000_000)
        #expect(try world.list(empty.inode).isEmpty)
        let full = try #require(world.lookup("full"))
        #expect(try world.list(full.inode).map(\.text) == ["@pail-file"])
        #expect(world.lookup("@pail-file", in: full.inode)?.size == 4)
    }

    @Test func inodesAreForgottenAndNumbersNeverReused() throws {
        let world = NamespaceWorld(ttl: .zero)
        world.put("file")
        let first = world.lookup("file")!.inode
        #expect(world.lookup("file")!.inode == first)
        world.namespace.forget(inode: first, count: 1)
        #expect(world.namespace.version(of: first) != nil)
        world.namespace.forget(inode: first, count: 1)
        #expect(world.namespace.version(of: first) == nil)
        #expect(throws: Errno.stale) { try world.attributes(first).get() }
    }
}
