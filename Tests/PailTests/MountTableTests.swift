import Glibc
import Testing

@testable import pail

@Suite struct MountTableTests {
    @Test func lines() {
        let plain =
            "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n"
        #expect(
            MountTable.entry(plain)
                == MountEntry(mountpoint: "/mnt2", type: "ext3", source: "/dev/root"))
        let ours = #"99 35 0:51 / /mnt/a\040b\134 ro - fuse.pail bucket:/x\040y ro,user_id=0"#
        let entry = MountTable.entry(ours)
        #expect(
            entry
                == MountEntry(
                    mountpoint: "/mnt/a b\\", type: "fuse.pail", source: "bucket:/x y"))
        #expect(entry?.isPail == true)
        for wrong in ["", "36 35 98:0 / /mnt2 rw", "- ext3 a b", "1 2 3 4 5 6 -"] {
            #expect(MountTable.entry(wrong) == nil)
        }
    }

    @Test func theRootIsMounted() throws {
        #expect(MountTable.top(at: "/proc")?.type == "proc")
        #expect(MountTable.top(at: "/proc/") == MountTable.top(at: "/proc"))
        #expect(MountTable.top(at: "/proc/self/..")?.type == "proc")
        #expect(MountTable.top(at: "/nonexistent/x") == nil)
    }

    @Test func linksAboveAreFollowed() throws {
        let base = "/tmp/pail-mounttable-\(getpid())"
        try #require(mkdir(base, 0o700) == 0)
        defer {
            unlink(base + "/link")
            rmdir(base + "/real")
            rmdir(base)
        }
        try #require(mkdir(base + "/real", 0o700) == 0)
        try #require(symlink(base + "/real", base + "/link") == 0)
        #expect(MountTable.resolved(base + "/link/m") == base + "/real/m")
        #expect(MountTable.resolved(base + "/real/") == base + "/real")
        #expect(MountTable.resolved("/") == "/")
    }
}
