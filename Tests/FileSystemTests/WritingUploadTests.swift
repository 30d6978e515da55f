// Large files on their way to the bucket: parts, failures and the room they need.

import Glibc
import Operations
import S3
import Simulation
import Testing

@testable import FileSystem

@Suite struct WritingUploadTests {
    private let part = WritingWorld.part
    private let root = FileSystemDriver.root

    @Test func growthAfterAFailedCompletionSendsTheLastPartAgain() throws {
        let world = WritingWorld()
        let bytes = WritingWorld.bytes(2 * part + part / 2)
        let handle = try world.driver.create(root, "f").open.handle
        let inode = try #require(world.driver.openFiles[handle])
        try world.driver.write(handle, bytes, at: 0)
        world.scheduler.runReady()
        world.store.script(ScriptedFault(.completeUpload, error: .unavailable))
        #expect(throws: Errno.self) { try world.driver.synchronize(handle) }
        try world.driver.truncate(inode, to: Int64(4 * part), handle: handle)
        try world.driver.close(handle)
        let zeros = [UInt8](repeating: 0, count: 4 * part - bytes.count)
        #expect(world.object("f") == bytes + zeros)
        #expect(world.leftovers == [])
    }

    @Test func fileLargerThanTheStagingAreaSurvivesAnFsyncInTheMiddle() throws {
        let world = WritingWorld(stagingLimit: Int64(4 * WritingWorld.part))
        let bytes = WritingWorld.bytes(20 * part)
        let handle = try world.driver.create(root, "f").open.handle
        for start in stride(from: 0, to: bytes.count, by: part / 2) {
            try world.driver.write(handle, Array(bytes[start..<start + part / 2]), at: Int64(start))
            if start == 3 * part { try world.driver.synchronize(handle) }
        }
        try world.driver.close(handle)
        #expect(world.object("f") == bytes)
        #expect(world.leftovers == [])
    }

    @Test func writerAtTheLimitHearsOfFailedPartsInsteadOfWaiting() throws {
        let world = WritingWorld(stagingLimit: Int64(4 * WritingWorld.part))
        for _ in 0..<40 { world.store.script(ScriptedFault(.uploadPart, error: .unavailable)) }
        let handle = try world.driver.create(root, "f").open.handle
        var failure: Errno?
        for index in 0..<16 where failure == nil {
            do {
                try world.driver.write(
                    handle, WritingWorld.bytes(part), at: Int64(index * part))
            } catch { failure = error }
        }
        #expect(failure != nil && failure?.rawValue != EDEADLK)
        #expect(world.driver.unanswered == [])
    }

    @Test func editNeedsNoMoreRoomThanThereIs() throws {
        let world = WritingWorld(stagingLimit: Int64(2 * WritingWorld.part))
        var bytes = WritingWorld.bytes(8 * part)
        world.store.put(ObjectKey("f"), bytes)
        world.store.server.hasPartCopy = false
        let inode = try world.driver.walk("f").inode
        let handle = try world.driver.open(inode, flags: O_RDWR).handle
        for index in 0..<8 {
            let place = index * part + 100
            try world.driver.write(handle, Array(repeating: 7, count: 600), at: Int64(place))
            bytes.replaceSubrange(place..<place + 600, with: Array(repeating: 7, count: 600))
        }
        try world.driver.close(handle)
        #expect(world.object("f") == bytes)
        #expect(world.leftovers == [])
    }

    @Test func bytesOfAForgottenUploadAreNeverReplacedByZeros() throws {
        let world = WritingWorld(stagingLimit: Int64(4 * WritingWorld.part))
        let handle = try world.driver.create(root, "f").open.handle
        for index in 0..<10 {
            try world.driver.write(
                handle, WritingWorld.bytes(part, UInt8(index)), at: Int64(index * part))
        }
        world.store.script(ScriptedFault(.completeUpload, error: .noSuchUpload))
        #expect(throws: Errno.self) { try world.driver.synchronize(handle) }
        #expect(throws: Errno.inputOutput) { try world.driver.synchronize(handle) }
        try? world.driver.close(handle)
        world.settle()
        #expect(world.object("f") == nil)
    }

    @Test func writeBackPromisesNoPartsThatOnlyAnUploadHas() throws {
        let world = WritingWorld(stagingLimit: Int64(4 * WritingWorld.part), isWriteBack: true)
        let bytes = WritingWorld.bytes(10 * part)
        let handle = try world.driver.create(root, "f").open.handle
        for index in 0..<10 {
            try world.driver.write(
                handle, Array(bytes[index * part..<(index + 1) * part]), at: Int64(index * part))
        }
        try world.driver.close(handle)
        world.crash()
        #expect(world.object("f") == bytes)
        #expect(world.leftovers == [])
    }
}
