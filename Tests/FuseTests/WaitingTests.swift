// Parked replies and the end of a mount; signals are in SignalTests.

import Foundation
import Fuse
import Testing

@Suite(.serialized, .tags(.kernel), .timeLimit(.minutes(2)))
struct WaitingTests {
    @Test func waitingReadersHoldUpNobody() throws {
        let fileSystem = MemoryFileSystem()
        let inodes = (0..<32).map {
            fileSystem.add("file\($0)", pattern(1000, seed: UInt64($0 + 1)))
        }
        fileSystem.state.withLock { $0.parkReads = Set(inodes) }
        let mount = try LiveMount(fileSystem, threads: 4)
        defer { mount.end() }
        let readers = try (0..<32).map { try Child(["cat", "\(mount.path)/file\($0)"]) }
        #expect(eventually { fileSystem.parkedCount == 32 })
        // With every reader waiting, more than all threads, this still answers.
        #expect(run("stat", mount.path + "/file3", seconds: 5).status == 0)
        #expect(run("ls", mount.path, seconds: 5).status == 0)
        fileSystem.unpark()
        for (index, reader) in readers.enumerated() {
            #expect(reader.wait().out == Data(pattern(1000, seed: UInt64(index + 1))))
        }
    }

    @Test(arguments: [SIGKILL, SIGTERM])
    func signalEndsAWaitingLookup(signal: Int32) throws {
        let fileSystem = MemoryFileSystem()
        let inode = fileSystem.add("slow", [1])
        fileSystem.state.withLock { $0.parkLookups = [Array("slow".utf8)] }
        let mount = try LiveMount(fileSystem)
        defer { mount.end() }
        let child = try Child(["cat", mount.path + "/slow"])
        #expect(eventually { fileSystem.parkedCount == 1 })
        kill(child.process.processIdentifier, signal)
        let output = child.wait(5)
        #expect(output.status == signal)
        // The answer comes late; the lookup it counted is given back.
        fileSystem.unpark()
        #expect(eventually { fileSystem.counters.forgotten[inode] == 1 })
        #expect(run("cat", mount.path + "/slow").out == Data([1]))
    }

    @Test func signalEndsAWaitingOpenReadAndListing() throws {
        let fileSystem = MemoryFileSystem(manyNames: 10)
        let inode = fileSystem.add("slow", pattern(1 << 20))
        let mount = try LiveMount(fileSystem)
        defer { mount.end() }
        fileSystem.state.withLock { $0.parkOpens = [inode] }
        let opener = try Child(["cat", mount.path + "/slow"])
        #expect(eventually { fileSystem.parkedCount == 1 })
        kill(opener.process.processIdentifier, SIGTERM)
        #expect(opener.wait(5).status == SIGTERM)
        fileSystem.unpark()
        #expect(eventually { fileSystem.counters.releases == 1 })

        fileSystem.state.withLock { $0.parkReads = [inode] }
        let reader = try Child(["dd", "if=\(mount.path)/slow", "iflag=direct", "bs=1M"])
        #expect(eventually { fileSystem.parkedCount == 1 })
        kill(reader.process.processIdentifier, SIGKILL)
        #expect(reader.wait(5).status == SIGKILL)
        fileSystem.unpark()

        fileSystem.state.withLock { $0.parkDirectories = true }
        let lister = try Child(["ls", mount.path + "/many"])
        #expect(eventually { fileSystem.parkedCount == 1 })
        kill(lister.process.processIdentifier, SIGKILL)
        #expect(lister.wait(5).status == SIGKILL)
        fileSystem.unpark()
        #expect(eventually { fileSystem.counters.forgotten[1_000_003] == 1 })
        #expect(run("ls", mount.path + "/many").text.split(separator: "\n").count == 10)
    }

    @Test func endsWhenAsked() throws {
        let mount = try LiveMount(MemoryFileSystem())
        #expect(mount.end() == .requested)
    }

    @Test func endsWhenUnmounted() throws {
        let mount = try LiveMount(MemoryFileSystem())
        #expect(throws: Never.self) { try Mountpoint.unmount(mount.path) }
        #expect(mount.waitForEnd() == .unmounted)
        // Notifications to a dead session do nothing.
        for inode in 1..<100 { mount.session.invalidateInode(UInt64(inode), offset: 0, length: 0) }
        mount.end()
        mount.session.invalidateEntry(parent: 1, name: [65])
        mount.session.requestExit()
        mount.session.unmount()
    }

    @Test func unmountSaysBusyAndLazyWorks() throws {
        let fileSystem = MemoryFileSystem()
        fileSystem.add("file", pattern(10))
        let mount = try LiveMount(fileSystem)
        let holder = try Child(["sh", "-c", "cd \"$0\" && exec sleep 60", mount.path])
        #expect(
            eventually {
                (try? FileManager.default.destinationOfSymbolicLink(
                    atPath: "/proc/\(holder.process.processIdentifier)/cwd")) == mount.path
            })
        #expect(throws: MountpointError.busy(mount.path)) { try Mountpoint.unmount(mount.path) }
        try Mountpoint.unmount(mount.path, lazy: true)
        #expect(throws: MountpointError.notMounted(mount.path)) {
            try Mountpoint.unmount(mount.path)
        }
        // Detached, but still used; asked to exit, the loop ends all the same.
        #expect(mount.waitForEnd(0.2) == nil)
        #expect(mount.end() == .requested)
        kill(holder.process.processIdentifier, SIGKILL)
        _ = holder.wait()
    }

    @Test func endsWithReadersWaitingAndANotificationInTheKernel() throws {
        let fileSystem = MemoryFileSystem()
        let inode = fileSystem.add("slow", pattern(1 << 20))
        fileSystem.state.withLock { $0.parkReads = [inode] }
        let mount = try LiveMount(fileSystem)
        let reader = try Child(["cat", mount.path + "/slow"])
        #expect(eventually { fileSystem.parkedCount >= 1 })
        // Waits in the kernel for the pages the reader waits for.
        mount.session.invalidateInode(inode, offset: 0, length: 0)
        usleep(50_000)
        #expect(mount.end() == .requested)
        let output = reader.wait(10)
        #expect(output.status == 1)
        // Late answers to a mount that is gone.
        fileSystem.unpark()
    }
}
