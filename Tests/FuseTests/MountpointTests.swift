// The mountpoint's checks and their words.

import Foundation
import Fuse
import Testing

@Suite(.serialized, .timeLimit(.minutes(1)))
struct MountpointTests {
    private func temporary() throws -> String {
        let path = NSTemporaryDirectory() + "fuse-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    @Test func parsesMountinfo() {
        let text = """
            36 35 98:0 / /mnt/a\\040b\\134c rw,noatime master:1 - ext3 /dev/root rw,errors=continue
            nonsense
            40 35 0:52 / /mnt/한글\\011x rw shared:2 master:3 - fuse.pail bucket:/a\\040b rw,user_id=0
            41 35 0:53 / /mnt/plain rw - fuse.pail b rw
            """
        let table = MountTable(mountinfo: Array(text.utf8))
        #expect(table.entries.map(\.mountpoint) == ["/mnt/a b\\c", "/mnt/한글\tx", "/mnt/plain"])
        #expect(table.entries[1].source == "bucket:/a b")
        #expect(table.entries[1].device == "0:52")
        #expect(table.entry(at: "/mnt/plain")?.isPail == true)
        #expect(table.entry(at: "/mnt/a b\\c")?.isFuse == false)
    }

    @Test func saysWhatIsWrong() throws {
        let path = try temporary()
        defer { try? FileManager.default.removeItem(atPath: path) }
        #expect(throws: MountpointError.missing(path + "/none")) {
            try Mountpoint.check(path + "/none")
        }
        try Data().write(to: URL(fileURLWithPath: path + "/file"))
        #expect(throws: MountpointError.notDirectory(path + "/file")) {
            try Mountpoint.check(path + "/file")
        }
        #expect(throws: MountpointError.notDirectory(path + "/file/x")) {
            try Mountpoint.check(path + "/file/x")
        }
        #expect(throws: MountpointError.notEmpty(path)) { try Mountpoint.check(path) }
        #expect(try Mountpoint.check(path + "//", allowNonEmpty: true) == path)
        try FileManager.default.createDirectory(
            atPath: path + "/d", withIntermediateDirectories: false)
        try FileManager.default.createSymbolicLink(
            atPath: path + "/link", withDestinationPath: path + "/d")
        #expect(try Mountpoint.check(path + "/link") == path + "/d")
        #expect(MountpointError.missing("/a b").description.hasSuffix("mkdir -p '/a b'"))
    }

    @Test func looksAtTheSurroundings() throws {
        let path = try temporary()
        defer { try? FileManager.default.removeItem(atPath: path) }
        var surroundings = Mountpoint.Surroundings()
        surroundings.device = "/dev/fuse-none"
        #expect(throws: MountpointError.noDevice) { try Mountpoint.check(path, in: surroundings) }
        surroundings.device = "/dev/null"
        surroundings.userID = 0
        surroundings.hasAdminCapability = false
        #expect(throws: MountpointError.noAdminCapability) {
            try Mountpoint.check(path, in: surroundings)
        }
        surroundings.userID = 1000
        surroundings.searchPath = "/nowhere"
        #expect(throws: MountpointError.noHelper) { try Mountpoint.check(path, in: surroundings) }
        surroundings.searchPath = path
        #expect(
            FileManager.default.createFile(
                atPath: path + "/fusermount3", contents: nil,
                attributes: [.posixPermissions: 0o755]))
        surroundings.configuration = path + "/fuse.conf"
        #expect(throws: MountpointError.allowOtherNotAllowed) {
            try Mountpoint.check(path, allowNonEmpty: true, allowOther: true, in: surroundings)
        }
        try "#user_allow_other\n user_allow_other # yes\n".write(
            toFile: path + "/fuse.conf", atomically: true, encoding: .utf8)
        #expect(throws: Never.self) {
            try Mountpoint.check(path, allowNonEmpty: true, allowOther: true, in: surroundings)
        }
    }

    @Test func knowsWhatIsMountedAlready() throws {
        let mount = try LiveMount(MemoryFileSystem(), name: "이미 있음")
        #expect(throws: MountpointError.alreadyMounted(mount.path, source: "bucket:/a,b c\\d")) {
            try Mountpoint.check(mount.path)
        }
        mount.end()
        #expect(throws: MountpointError.notMounted("/proc/\(getpid())")) {
            try Mountpoint.unmount("/proc/self/../self")
        }
        #expect(throws: MountpointError.foreign("/proc", type: "proc")) {
            try Mountpoint.unmount("/proc")
        }
    }

    @Test func refusesWrongOptions() {
        do {
            _ = try FuseSession(
                options: MountOptions(mountpoint: "/x", source: "b", extra: ["no_such_thing"]),
                logger: .init(label: "test"))
            Issue.record("the option was taken")
        } catch {
            #expect("\(error)" == "mount option refused: unknown option(s): `-o no_such_thing'")
        }
    }

    /// A daemon that was stopped, or waits for ever, must not hold the check up.
    @Test func saysWhenAMountHangs() throws {
        guard geteuid() == 0 else { return }
        let path = try temporary()
        // Mounts, and never answers, not even the kernel's greeting.
        let script = """
            import ctypes, os, sys
            c = ctypes.CDLL(None, use_errno=True)
            f = os.open('/dev/fuse', os.O_RDWR)
            o = 'fd=%d,rootmode=40000,user_id=0,group_id=0' % f
            assert c.mount(b'b', sys.argv[1].encode(), b'fuse.pail', 0, o.encode()) == 0
            sys.stdin.read()
            """
        let gate = Pipe()
        let daemon = try Child(["python3", "-c", script, path], input: gate)
        defer {
            try? gate.fileHandleForWriting.close()
            _ = daemon.wait()
            run("umount", "-l", path)
            try? FileManager.default.removeItem(atPath: path)
        }
        #expect(eventually { MountTable.current().entry(at: path) != nil })
        try FileManager.default.createSymbolicLink(
            atPath: path + "-link", withDestinationPath: path)
        defer { unlink(path + "-link") }
        let hangs = MountpointError.hangs(path, source: "b", isPail: true)
        #expect(throws: hangs) { try Mountpoint.check(path) }
        #expect(throws: hangs) { try Mountpoint.check(path + "/below") }
        #expect(hangs.description.hasSuffix("clear it: pail unmount --lazy \(path)"))
        try Mountpoint.unmount(path, lazy: true)
        #expect(try Mountpoint.check(path) == path)
    }

    @Test func saysStaleWhenTheDaemonIsGone() throws {
        // A session whose device is let go without an unmount is what a killed daemon leaves.
        guard geteuid() == 0 else { return }
        let path = try temporary()
        defer {
            run("umount", "-l", path)
            try? FileManager.default.removeItem(atPath: path)
        }
        let script = """
            import ctypes, os, sys
            c = ctypes.CDLL(None, use_errno=True)
            f = os.open('/dev/fuse', os.O_RDWR)
            o = 'fd=%d,rootmode=40000,user_id=0,group_id=0' % f
            assert c.mount(b'b', sys.argv[1].encode(), b'fuse.pail', 0, o.encode()) == 0
            """
        #expect(run("python3", "-c", script, path).status == 0)
        let stale = MountpointError.stale(path, isPail: true)
        #expect(throws: stale) { try Mountpoint.check(path) }
        #expect(throws: stale) { try Mountpoint.check(path + "/below/it") }
        #expect(stale.description.hasSuffix("clear it: pail unmount \(path)"))
        try Mountpoint.unmount(path)
        #expect(try Mountpoint.check(path) == path)
    }
}
