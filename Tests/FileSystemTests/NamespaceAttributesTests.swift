import FileSystem
import Operations
import S3
import Simulation
import Testing

@testable import FileSystem

@Suite struct NamespaceAttributesTests {
    private static let posix = ["mode": "33152", "uid": "5", "gid": "6", "mtime": "12.5"]

    private func put(_ world: NamespaceWorld, _ key: String, _ metadata: [String: String]) {
        world.store.put(ObjectKey(key), [1, 2, 3], metadata: metadata)
    }

    @Test func metadataIsReadAsItIsWritten() {
        let s3fs = ObjectAttributes(metadata: [
            "mode": "41471", "uid": "1000", "gid": "100", "mtime": "1354040105.123456789",
            "ctime": "1354040106", "atime": "3",
        ])
        #expect(s3fs.isSymbolicLink && s3fs.permissions == 0o777)
        #expect(s3fs.uid == 1000 && s3fs.gid == 100)
        #expect(s3fs.modified == 1_354_040_105_123_456_789)
        #expect(s3fs.changed == 1_354_040_106_000_000_000)
        #expect(ObjectAttributes.time("-1.5") == -1_500_000_000)
        #expect(ObjectAttributes.time("7.1234567891") == 7_123_456_789)
        for text in ["", "-", ".5", "1e3", "1.x", "99999999999999999999", "9223372036854775807"] {
            #expect(ObjectAttributes.time(text) == nil, "\(text)")
        }
        let senseless = ["mode": "rw", "uid": "-1", "gid": "x", "mtime": "today", "owner": "me"]
        #expect(ObjectAttributes(metadata: senseless).isEmpty)
    }

    @Test func aFileShowsItsMetadataForOneHead() throws {
        let world = NamespaceWorld(readsMetadata: true)
        put(world, "f", Self.posix)
        put(world, "plain", [:])
        put(world, "link", ["mode": "41471"])
        let rows = try world.list()
        #expect(world.store.count(.head) == 0, "names alone cost nothing")
        #expect(rows.allSatisfy { !$0.hasEntry && $0.attributes.kind == .unknown })
        let found = try #require(world.lookup("f"))
        #expect(found.permissions == 0o600 && found.uid == 5 && found.gid == 6)
        #expect(found.modified == 12_500_000_000 && found.size == 3)
        #expect(world.lookup("link")?.kind == .symbolicLink)
        #expect(world.lookup("plain")?.permissions == 0o644 && world.lookup("plain")?.uid == 10)
        let heads = world.store.count(.head)
        #expect(heads == 3)
        #expect(try world.attributes(found.inode).get().attributes == found)
        let again = try world.list()
        #expect(again.allSatisfy { $0.hasEntry } && again[1].attributes.kind == .symbolicLink)
        world.scheduler.advance(by: .seconds(61))
        #expect(world.lookup("f") == found && world.store.count(.head) == heads)
        put(world, "f", ["mode": "33188"])
        world.store.put(ObjectKey("f"), [9], metadata: ["mode": "33060"])
        world.scheduler.advance(by: .seconds(61))
        #expect(world.lookup("f")?.permissions == 0o444 && world.lookup("f")?.size == 1)
        #expect(world.store.count(.head) == heads + 1, "another version is asked about once")
        guard case .success(.symbolicLink(_, let version?)) = world.resolve("link") else {
            Issue.record("no link")
            return
        }
        #expect(version.size == 3 && world.broken == [])
    }

    @Test func withoutTheSwitchNothingIsAsked() throws {
        let world = NamespaceWorld()
        put(world, "f", Self.posix)
        put(world, "d/", Self.posix)
        _ = try world.list()
        #expect(world.lookup("f")?.permissions == 0o644 && world.lookup("d") != nil)
        #expect(world.store.count(.head) == 0)
    }

    @Test func anUnknownPathLearnsFromItsOwnHead() {
        let world = NamespaceWorld(readsMetadata: true)
        put(world, "f", Self.posix)
        #expect(world.lookup("f")?.permissions == 0o600)
        #expect(world.store.count(.head) == 1)
    }

    @Test func aWalkAsksForManyAtOnce() throws {
        let count = 1000
        let memory = BoundedAttributeMemory()
        let world = NamespaceWorld(readsMetadata: true, attributes: memory)
        for index in 0..<count { put(world, "d/\(10_000 + index)", ["mode": "33152"]) }
        let dir = world.lookup("d")!.inode
        #expect(try world.list(dir).count == count)
        world.store.resetRequests()
        let start = world.scheduler.now
        for index in 0..<count {
            #expect(world.lookup("\(10_000 + index)", in: dir)?.permissions == 0o600)
        }
        #expect(world.store.count(.head) == count && world.store.count(.list) == 0)
        #expect(world.scheduler.now - start <= .milliseconds(30) * (count / 64 + 2))
        for index in 0..<count { _ = world.lookup("\(10_000 + index)", in: dir) }
        #expect(world.store.count() == count)

        // Another mount with the same memory.
        let next = NamespaceWorld(readsMetadata: true, attributes: memory)
        for object in world.store.objects {
            next.store.put(object.key, object.bytes, metadata: object.metadata)
        }
        let same = next.lookup("d")!.inode
        _ = try next.list(same)
        next.store.resetRequests()
        for index in 0..<count {
            #expect(next.lookup("\(10_000 + index)", in: same)?.permissions == 0o600)
        }
        let unknown = zip(world.store.objects, next.store.objects).count { $0.etag != $1.etag }
        #expect(next.store.count(.head) == unknown)
    }

    @Test func aSingleNameCostsOneHead() throws {
        let world = NamespaceWorld(readsMetadata: true)
        for index in 0..<500 { put(world, "\(1000 + index)", Self.posix) }
        _ = try world.list()
        for name in ["1300", "1100", "1450"] { #expect(world.lookup(name)?.uid == 5) }
        #expect(world.store.count(.head) == 3)
    }

    @Test func directoriesShowTheirMarkers() throws {
        let world = NamespaceWorld(readsMetadata: true)
        world.store.put(
            ObjectKey("set/"), [], metadata: ["mode": "16832", "mtime": "9", "uid": "3"])
        world.store.put(ObjectKey("console/"), [])
        put(world, "implicit/f", [:])
        _ = try world.list()
        let set = try #require(world.lookup("set"))
        #expect(set.kind == .directory && set.permissions == 0o700)
        #expect(set.uid == 3 && set.modified == 9_000_000_000)
        #expect(world.lookup("console")?.permissions == 0o755)
        #expect(world.lookup("implicit")?.permissions == 0o755)
        #expect(world.store.count(.head) == 3)
        #expect(world.namespace.marker(of: set.inode) == .present)
        #expect(world.namespace.marker(of: world.lookup("implicit")!.inode) == .absent)
        world.scheduler.advance(by: .seconds(61))
        _ = try world.list()
        #expect(world.lookup("set") == set && world.store.count(.head) == 3)

        let flown = NamespaceWorld(readsMetadata: true)
        put(flown, "implicit/f", [:])
        flown.store.put(ObjectKey("set/"), [], metadata: ["mode": "16832"])
        #expect(flown.lookup("implicit")?.permissions == 0o755)
        let heads = flown.store.requests.filter { $0.key == ObjectKey("implicit/") }
        #expect(heads.count == 1, "the listing told that there is no marker")
        #expect(flown.lookup("set")?.permissions == 0o700)
        // Its own listing shows another marker.
        let inode = flown.lookup("set")!.inode
        flown.store.put(ObjectKey("set/"), [1], metadata: ["mode": "16877"])
        _ = try flown.list(inode)
        #expect(try flown.attributes(inode).get().attributes.permissions == 0o755)
    }

    @Test func whatWasPublishedIsKnown() throws {
        let memory = BoundedAttributeMemory()
        let world = NamespaceWorld(readsMetadata: true, attributes: memory)
        let made = try #require(world.add("f", NamespaceWorld.file(3, modified: 5)))
        let time = "0.000000005"
        world.publish(
            made.inode, "abc",
            metadata: ["mode": "33152", "uid": "7", "gid": "8", "mtime": time, "ctime": time])
        world.scheduler.advance(by: .seconds(61))
        #expect(world.lookup("f") == made)
        _ = try world.list()
        #expect(world.lookup("f") == made && world.store.count(.head) <= 1)
        let next = NamespaceWorld(readsMetadata: true, attributes: memory)
        next.put("f", "abc")
        _ = try next.list()
        #expect(next.lookup("f")?.permissions == 0o600 && next.store.count(.head) == 0)
    }

    @Test func aMarkerPutHereIsKnown() throws {
        let world = NamespaceWorld(readsMetadata: true)
        let made = try #require(world.add("d", NamespaceWorld.folder))
        world.publish(made.inode, "")
        #expect(world.namespace.marker(of: made.inode) == .present)
        #expect(world.namespace.isSettled(1))
        for _ in 0..<2 {
            world.scheduler.advance(by: .seconds(61))
            _ = try world.list()
            _ = try world.list(made.inode)
            #expect(world.lookup("d") == made)
        }
        #expect(world.store.count(.head) == 0 && world.broken == [])
    }

    @Test func aHeadThatFails() throws {
        let world = NamespaceWorld(readsMetadata: true)
        for name in ["a", "b", "c"] { put(world, name, Self.posix) }
        _ = try world.list()
        world.store.script(ScriptedFault(.head, key: ObjectKey("b"), error: .timedOut))
        world.store.script(ScriptedFault(.head, key: ObjectKey("c"), error: .accessDenied))
        #expect(world.lookup(Array("b".utf8)) == .failure(.timedOut))
        #expect(world.lookup("b")?.uid == 5, "it is asked again")
        #expect(world.lookup("c")?.permissions == 0o644, "it may be seen, but not read")
        world.store.delete(ObjectKey("a"))
        #expect(world.lookup("a") == nil && world.broken == [])
    }

    @Test func aChangeWhileAttributesAreAsked() throws {
        let world = NamespaceWorld(readsMetadata: true)
        put(world, "a", Self.posix)
        put(world, "b", Self.posix)
        _ = try world.list()
        let a = world.startLookup(Array("a".utf8))
        let b = world.startLookup(Array("b".utf8))
        world.scheduler.advance(by: .milliseconds(10))
        #expect((try? world.move("a", to: "c").get()) != nil)
        world.remove("b")
        #expect(try world.wait(a).get().attributes == nil)
        #expect(try world.wait(b).get().attributes == nil)
        let c = try #require(world.lookup("c"))
        #expect(c.uid == 5, "read where its bytes still are")
        #expect(world.broken == [])
    }
}
