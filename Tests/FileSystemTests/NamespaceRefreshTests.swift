import FileSystem
import Operations
import S3
import Simulation
import Testing

@Suite struct NamespaceRefreshTests {
    @Test func aChangeElsewhereIsSeenAfterTheTTL() throws {
        let world = NamespaceWorld()
        for name in ["same", "changed", "deleted"] { world.put("d/" + name, "1") }
        let dir = world.lookup("d")!.inode
        let rows = try world.list(dir)
        let inodes = Dictionary(uniqueKeysWithValues: rows.map { ($0.text, $0.attributes.inode) })
        world.put("d/changed", "22")
        world.put("d/new", "1")
        world.store.delete(ObjectKey("d/deleted"))
        world.scheduler.advance(by: .seconds(59))
        #expect(world.lookup("new", in: dir) == nil)
        #expect(world.notifier.inodes.isEmpty)
        world.scheduler.advance(by: .seconds(2))
        world.store.resetRequests()
        #expect(world.lookup("same", in: dir)?.inode == inodes["same"])
        #expect(world.store.count() == 1, "one LIST confirms all children")
        #expect(world.lookup("changed", in: dir)?.size == 2)
        #expect(world.lookup("changed", in: dir)?.inode == inodes["changed"])
        #expect(world.lookup("deleted", in: dir) == nil)
        #expect(world.lookup("new", in: dir) != nil)
        #expect(try world.attributes(inodes["changed"]!).get().attributes.size == 2)
        #expect(throws: Errno.stale) { try world.attributes(inodes["deleted"]!).get() }
        #expect(world.store.count() == 1)
        #expect(Set(world.notifier.inodes) == [inodes["changed"]!, inodes["deleted"]!])
        #expect(Set(world.notifier.entries) == ["\(dir)/changed", "\(dir)/deleted"])
    }

    @Test func anUnchangedDirectoryTellsTheKernelNothing() throws {
        let world = NamespaceWorld(roundTrip: .milliseconds(1))
        for index in 0..<2500 { world.put("f\(index)") }
        let first = try world.list()
        for _ in 0..<3 {
            world.scheduler.advance(by: .seconds(100))
            #expect(try world.list().map(\.attributes.inode) == first.map(\.attributes.inode))
        }
        #expect(world.notifier.inodes.isEmpty && world.notifier.entries.isEmpty)
    }

    @Test func aNameInALongDirectoryIsConfirmedAlone() throws {
        let world = NamespaceWorld(roundTrip: .milliseconds(1))
        for index in 0..<1500 { world.put("f\(index)", "1") }
        let inode = try world.list().first { $0.text == "f7" }!.attributes.inode
        world.scheduler.advance(by: .seconds(61))
        world.put("f7", "22")
        world.store.resetRequests()
        #expect(world.lookup("f7")?.inode == inode)
        #expect(world.lookup("f7")?.size == 2)
        #expect(world.store.count() == 2)
        #expect(world.notifier.inodes == [inode])
    }

    @Test func zeroAlwaysAsksAndForeverNever() throws {
        let zero = NamespaceWorld(ttl: .zero)
        zero.put("f", "1")
        let inode = zero.lookup("f")!.inode
        zero.put("f", "22")
        #expect(try zero.attributes(inode).get().attributes.size == 2)
        zero.store.delete(ObjectKey("f"))
        #expect(zero.lookup("f") == nil)
        #expect(try zero.list().isEmpty)
        zero.put("g", "1")
        #expect(try zero.list().count == 1)

        let forever = NamespaceWorld(ttl: nil)
        forever.put("f", "1")
        _ = try forever.list()
        forever.store.delete(ObjectKey("f"))
        forever.scheduler.advance(by: .seconds(1_000_000))
        #expect(forever.lookup("f") != nil)
    }

    @Test func aFileThatBecomesADirectoryIsAnotherInode() throws {
        let world = NamespaceWorld()
        world.put("x", "1")
        let file = world.lookup("x")!
        world.put("x/y", "1")
        world.scheduler.advance(by: .seconds(61))
        let directory = try #require(world.lookup("x"))
        #expect(directory.kind == .directory && directory.inode != file.inode)
        #expect(world.notifier.inodes == [file.inode])
        #expect(world.lookup("x@pail-file")?.kind == .file)
    }

    @Test func readersTeachTheNamespace() throws {
        let world = NamespaceWorld()
        world.put("f", "1")
        let inode = world.lookup("f")!.inode
        let version = try #require(world.namespace.version(of: inode))
        #expect(
            version.key == ObjectKey("f") && version.size == 1 && world.namespace.isFresh(inode))
        world.put("f", "22")
        world.namespace.objectChanged(inode)
        #expect(!world.namespace.isFresh(inode))
        #expect(world.notifier.inodes == [inode] && world.notifier.entries == ["1/f"])
        let box = Box<Result<ObjectVersion?, StoreError>>()
        world.store.resetRequests()
        world.namespace.refresh(inode) { box.set($0) }
        #expect(try world.wait(box).get()?.size == 2)
        #expect(world.store.count() == 1 && world.namespace.isFresh(inode))
        world.put("f", "333")
        world.notifier.reset()
        world.namespace.objectSeen(world.store.object(ObjectKey("f"))!.head, inode: inode)
        #expect(world.namespace.version(of: inode)?.size == 3 && world.notifier.inodes == [inode])
        world.store.delete(ObjectKey("f"))
        let gone = Box<Result<ObjectVersion?, StoreError>>()
        world.namespace.refresh(inode) { gone.set($0) }
        #expect(try world.wait(gone).get() == nil)
        #expect(world.lookup("f") == nil)
    }

    @Test func aDirectoryWhoseKeysAreAllGoneVanishes() throws {
        let world = NamespaceWorld()
        world.put("d/a")
        let dir = world.lookup("d")!.inode
        #expect(try world.list(dir).count == 1)
        world.store.delete(ObjectKey("d/a"))
        world.scheduler.advance(by: .seconds(61))
        #expect(try world.list(dir).isEmpty)
        #expect(world.lookup("d") == nil)
        #expect(world.notifier.entries.contains("1/d"))
    }

    @Test func extendedAttributesCostAHeadOnlyWhereNeeded() throws {
        let world = NamespaceWorld(rootPrefix: "base/")
        world.store.put(
            ObjectKey("base/f"), [1], metadata: ["owner": "me"], contentType: "image/png")
        let inode = try world.list()[0].attributes.inode
        world.store.resetRequests()
        #expect(world.attribute("security.selinux", of: inode) == .failure(.notSupported))
        #expect(world.attribute("user.other", of: inode) == .failure(.noData))
        #expect(world.attribute("user.s3.key", of: inode) == .success("base/f"))
        #expect(world.attribute("user.s3.storage-class", of: inode) == .success("STANDARD"))
        #expect(
            world.attribute("user.s3.url", of: inode) == .success("https://bucket.example/base/f"))
        #expect(
            world.attribute("user.s3.etag", of: inode)
                == .success(world.namespace.version(of: inode)!.etag.text))
        #expect(names(world, inode).count == 4)
        #expect(world.store.count() == 0)
        #expect(world.attribute("user.s3.content-type", of: inode) == .success("image/png"))
        #expect(world.attribute("user.s3.meta.owner", of: inode) == .success("me"))
        #expect(world.attribute("user.s3.version-id", of: inode) == .success("v1"))
        #expect(world.attribute("user.s3.meta.none", of: inode) == .failure(.noData))
        #expect(world.store.count() == 1)
        #expect(names(world, inode).contains("user.s3.meta.owner"))
    }

    private func names(_ world: NamespaceWorld, _ inode: InodeNumber) -> [String] {
        let box = Box<Result<[[UInt8]], Errno>>()
        world.namespace.listExtendedAttributes(inode: inode, reply: Reply { box.set($0) })
        return (try? world.wait(box).get().map { String(decoding: $0, as: UTF8.self) }) ?? []
    }
}
