// Names that are removed, renamed and made again while files are open or on their way.

import Glibc
import Operations
import S3
import Simulation
import Testing

@testable import FileSystem

@Suite struct WritingNameTests {
    private let root = FileSystemDriver.root

    private func write(_ world: WritingWorld, _ name: String, _ text: String) throws {
        let handle = try world.driver.create(root, name).open.handle
        try world.driver.write(handle, Array(text.utf8), at: 0)
        try world.driver.close(handle)
    }

    @Test func nameOfAnOpenRemovedFileCanBeMadeExclusively() throws {
        let world = WritingWorld()
        world.store.put(ObjectKey("f"), Array("old".utf8))
        let inode = try world.driver.walk("f").inode
        let reader = try world.driver.open(inode).handle
        try world.driver.unlink(root, "f")
        let handle = try world.driver.create(root, "f", flags: O_RDWR | O_EXCL).open.handle
        try world.driver.write(handle, Array("new".utf8), at: 0)
        try world.driver.close(handle)
        try world.driver.close(reader)
        world.settle()
        #expect(world.object("f") == Array("new".utf8))
        #expect(world.leftovers == [])
    }

    @Test func removedOpenFileGoesWithItsLastHandle() throws {
        let world = WritingWorld()
        world.store.put(ObjectKey("d/f"), Array("old".utf8))
        let directory = try world.driver.walk("d").inode
        let inode = try world.driver.walk("d/f").inode
        let reader = try world.driver.open(inode).handle
        try world.driver.unlink(directory, "f")
        try world.driver.removeDirectory(root, "d")
        #expect(try world.driver.readAll(reader) == Array("old".utf8))
        try world.driver.close(reader)
        #expect(world.leftovers == [])
        #expect(world.object("d/f") == nil)
    }

    @Test func failedRemovalAtTheEndIsRepeatedByTheNextMount() throws {
        // Too large to be brought here: the object goes with the last handle.
        let world = WritingWorld(homeLimit: 0)
        world.store.put(ObjectKey("f"), Array("old".utf8))
        let reader = try world.driver.open(try world.driver.walk("f").inode).handle
        try world.driver.unlink(root, "f")
        world.store.script(ScriptedFault(.delete, error: .unavailable))
        try world.driver.close(reader)
        world.settle()
        #expect(world.object("f") != nil)
        world.crash()
        #expect(world.object("f") == nil)
        #expect(world.leftovers == [])
    }

    @Test func anObjectRemovedWhileOpenGoesAtOnceAndIsReadOn() throws {
        let world = WritingWorld()
        world.store.put(ObjectKey("f"), Array("old".utf8))
        let reader = try world.driver.open(try world.driver.walk("f").inode).handle
        try world.driver.unlink(root, "f")
        #expect(world.object("f") == nil)
        #expect(try world.driver.read(reader, offset: 0, size: 9) == Array("old".utf8))
        try world.driver.close(reader)
        #expect(world.leftovers == [])
    }

    @Test func unpublishedFileRenamedOntoAnObjectAndRemovedLeavesNothing() throws {
        let world = WritingWorld()
        world.store.put(ObjectKey("f"), Array("old".utf8))
        _ = try world.driver.walk("f")
        let handle = try world.driver.create(root, "tmp").open.handle
        try world.driver.write(handle, Array("new".utf8), at: 0)
        try world.driver.rename(root, "tmp", to: root, "f")
        try world.driver.unlink(root, "f")
        try world.driver.close(handle)
        #expect(world.leftovers == [])
        #expect(world.store.objects.map(\.key) == [])
    }

    @Test func publishOfAReplacedFileNeverArrivesAfterTheRename() throws {
        let world = WritingWorld()
        try write(world, "a", "renamed")
        let handle = try world.driver.create(root, "b").open.handle
        try world.driver.write(handle, Array("replaced".utf8), at: 0)
        world.store.script(ScriptedFault(.put, delay: .seconds(5)))
        let closing = world.driver.beginSynchronize(handle)
        let renaming = world.driver.beginRename(root, "a", to: root, "b")
        #expect(world.driver.wait(for: closing) && world.driver.wait(for: renaming))
        try? world.driver.close(handle)
        world.settle()
        #expect(world.object("b") == Array("renamed".utf8))
        #expect(world.object("a") == nil)
        #expect(world.leftovers == [])
    }

    @Test func refusedUnlinkOfAnOpenLargeFileLosesNothing() throws {
        let part = WritingWorld.part
        let world = WritingWorld(stagingLimit: Int64(4 * part))
        let bytes = WritingWorld.bytes(10 * part)
        world.store.put(ObjectKey("f"), [1])
        let inode = try world.driver.walk("f").inode
        let handle = try world.driver.open(inode, flags: O_RDWR | O_TRUNC).handle
        for index in 0..<10 {
            try world.driver.write(
                handle, Array(bytes[index * part..<(index + 1) * part]), at: Int64(index * part))
        }
        world.store.server.mayDelete = false
        try? world.driver.unlink(root, "f")
        #expect(try world.driver.readAll(handle) == bytes)
        world.store.server.mayDelete = true
        try world.driver.close(handle)
        #expect(world.driver.unanswered == [])
    }

    @Test func pendingDeletionDoesNotTakeANewFileAfterACrash() throws {
        let world = WritingWorld(isWriteBack: true)
        for index in 0..<12 { world.store.put(ObjectKey("f\(index)"), [UInt8(index)]) }
        for index in 0..<12 {
            _ = try world.driver.walk("f\(index)")
            try world.driver.unlink(root, "f\(index)")
        }
        try write(world, "f11", "new")
        world.store.script(ScriptedFault(.deleteMany, delay: .seconds(5)))
        world.crash()
        world.settle()
        #expect(world.object("f11") == Array("new".utf8))
        #expect(world.leftovers == [])
    }

    @Test func emptiedAgainAfterAPromiseACrashShowsWhatWasPromised() throws {
        let world = WritingWorld(isWriteBack: true)
        try write(world, "f", "promised")
        let inode = try world.driver.walk("f").inode
        _ = try world.driver.open(inode, flags: O_RDWR | O_TRUNC)
        world.crash()
        #expect(world.object("f") == Array("promised".utf8))
    }
}
