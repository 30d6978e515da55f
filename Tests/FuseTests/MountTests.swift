// A live mount on the real kernel: names, attributes, bytes.

import Foundation
import Fuse
import Testing

@Suite(.serialized, .tags(.kernel), .timeLimit(.minutes(2)))
struct MountTests {
    @Test func showsItselfInTheMountTable() throws {
        let mount = try LiveMount(MemoryFileSystem(), name: "with space 한글")
        let entry = MountTable.current().entry(at: mount.path)
        #expect(entry?.type == "fuse.pail")
        #expect(entry?.source == "bucket:/a,b c\\d")
        #expect(entry?.isPail == true)
        mount.end()
    }

    @Test func tellsAttributes() throws {
        let fileSystem = MemoryFileSystem()
        fileSystem.add("file", pattern(1000))
        let mount = try LiveMount(fileSystem)
        defer { mount.end() }
        let output = run("stat", "-c", "%s %b %a %h %F %.9Y", mount.path + "/file")
        #expect(output.text == "1000 2 640 1 regular file 1600000000.123456789\n")
        #expect(run("stat", "-c", "%o %F", mount.path).text == "1048576 directory\n")
        #expect(run("stat", mount.path + "/none").status == 1)
    }

    @Test func readsBytesAtOddPlaces() throws {
        let fileSystem = MemoryFileSystem()
        let data = pattern(5_000_003)
        fileSystem.add("file", data)
        let mount = try LiveMount(fileSystem)
        defer { mount.end() }
        #expect(run("cat", mount.path + "/file").out == Data(data))
        for (offset, count) in [
            (0, 1), (1, 4095), (131_071, 131_074), (4_999_999, 100), (6_000_000, 5),
        ] {
            for flags in ["skip_bytes,count_bytes", "skip_bytes,count_bytes,direct"] {
                let isDirect = flags.hasSuffix("direct")
                if isDirect && offset % 512 != 0 { continue }
                let output = run(
                    "dd", "if=\(mount.path)/file", "bs=1M", "iflag=\(flags)", "skip=\(offset)",
                    "count=\(count)", "status=none")
                let end = min(offset + count, data.count)
                #expect(output.out == Data(offset < end ? data[offset..<end] : []))
            }
        }
        #expect(
            run("dd", "if=\(mount.path)/file", "iflag=direct", "bs=1M", "status=none").out
                == Data(data))
        #expect(fileSystem.counters.largestRead == 1 << 20)
    }

    @Test func readsInOnePiece() throws {
        let fileSystem = MemoryFileSystem()
        fileSystem.state.withLock { $0.pieceSize = 1 << 20 }
        let data = pattern(3_000_001)
        fileSystem.add("file", data)
        let mount = try LiveMount(fileSystem)
        defer { mount.end() }
        #expect(run("cat", mount.path + "/file").out == Data(data))
    }

    @Test func raisesReadahead() throws {
        let fileSystem = MemoryFileSystem()
        fileSystem.add("file", pattern(8 << 20))
        let mount = try LiveMount(fileSystem)
        defer { mount.end() }
        run("stat", mount.path + "/file")
        let device = try #require(MountTable.current().entry(at: mount.path)?.device)
        let file = "/sys/class/bdi/\(device)/read_ahead_kb"
        #expect(
            eventually { (try? String(contentsOfFile: file, encoding: .utf8)) == "1024\n" }
                || geteuid() != 0)
        run("cat", mount.path + "/file")
        #expect(fileSystem.counters.largestRead == 1 << 20 || geteuid() != 0)
    }

    @Test func listsManyNamesAndSeeks() throws {
        let fileSystem = MemoryFileSystem(manyNames: 20_000)
        let mount = try LiveMount(fileSystem)
        defer { mount.end() }
        let names = run("ls", "-U", mount.path + "/many").text.split(separator: "\n")
        #expect(names.count == 20_000)
        #expect(Set(names).count == 20_000)
        let long = run("ls", "-lU", mount.path + "/many").text.split(separator: "\n").dropFirst()
        #expect(long.count == 20_000)
        // Attributes come with the listing.
        #expect(fileSystem.counters.attributes < 20)
        #expect(fileSystem.counters.plusPages > 0)
        // The kernel holds what it was given: nothing of a delivered page is taken back.
        #expect(fileSystem.counters.forgotten.isEmpty)
        let script = """
            import os, ctypes, sys
            c = ctypes.CDLL(None, use_errno=True)
            class D(ctypes.Structure):
                _fields_ = [('ino', ctypes.c_uint64), ('off', ctypes.c_int64),
                    ('len', ctypes.c_uint16), ('type', ctypes.c_uint8), ('name', ctypes.c_char * 256)]
            c.opendir.restype = ctypes.c_void_p
            c.readdir.restype = ctypes.POINTER(D)
            c.readdir.argtypes = [ctypes.c_void_p]
            c.telldir.restype = ctypes.c_long
            c.telldir.argtypes = [ctypes.c_void_p]
            c.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
            d = c.opendir(sys.argv[1].encode())
            places = []
            for i in range(15000):
                places.append(c.telldir(d))
                places.append(c.readdir(d).contents.name)
            for i in (0, 1, 14999, 7000, 7001, 3):
                c.seekdir(d, places[2 * i])
                assert c.readdir(d).contents.name == places[2 * i + 1], i
            print('good')
            """
        #expect(run("python3", "-c", script, mount.path + "/many").text == "good\n")
    }

    @Test func answersExtendedAttributes() throws {
        let fileSystem = MemoryFileSystem()
        let large = pattern(60_000)
        fileSystem.add(
            "file", [1], extended: ["user.s3.key": Array("a/b".utf8), "user.big": large])
        let mount = try LiveMount(fileSystem)
        defer { mount.end() }
        let script = """
            import os, sys
            p = sys.argv[1]
            assert os.listxattr(p) == ['user.big', 'user.s3.key'], os.listxattr(p)
            assert os.getxattr(p, 'user.s3.key') == b'a/b'
            assert len(os.getxattr(p, 'user.big')) == 60000
            try: os.getxattr(p, 'user.none')
            except OSError as e: print(e.errno)
            import ctypes
            c = ctypes.CDLL(None, use_errno=True)
            b = ctypes.create_string_buffer(2)
            print(c.getxattr(p.encode(), b'user.s3.key', b, 2), ctypes.get_errno())
            print(c.getxattr(p.encode(), b'user.s3.key', None, 0))
            print(os.listxattr(os.path.dirname(p)))
            """
        let output = run("python3", "-c", script, mount.path + "/file")
        #expect(output.text == "61\n-1 34\n3\n[]\n", "\(output.err)")
    }

    @Test func answersStatfsLinksAndReadOnly() throws {
        let fileSystem = MemoryFileSystem()
        fileSystem.add("link", Array("target of it".utf8))
        let mount = try LiveMount(fileSystem)
        defer { mount.end() }
        #expect(
            run("stat", "-f", "-c", "%S %b %f %c %d %l", mount.path).text
                == "4096 \(1 << 40) \(1 << 39) 1000 500 255\n")
        #expect(run("readlink", mount.path + "/link").text == "target of it\n")
        #expect(run("touch", mount.path + "/new").err.contains("Read-only file system"))
        #expect(run("flock", mount.path, "true").status == 0)
    }

    @Test func remembersNegativeEntries() throws {
        let fileSystem = MemoryFileSystem()
        let mount = try LiveMount(fileSystem)
        defer { mount.end() }
        for _ in 0..<5 { #expect(run("cat", mount.path + "/none").status == 1) }
        #expect(fileSystem.counters.negativeLookups == 1)
        fileSystem.add("none", Array("here".utf8))
        mount.session.invalidateEntry(parent: 1, name: Array("none".utf8))
        #expect(eventually { run("cat", mount.path + "/none").text == "here" })
    }

    @Test func keepsPagesUntilInvalidated() throws {
        let fileSystem = MemoryFileSystem()
        fileSystem.state.withLock { $0.keepCache = true }
        let inode = fileSystem.add("file", Array("old".utf8))
        let mount = try LiveMount(fileSystem)
        defer { mount.end() }
        #expect(run("cat", mount.path + "/file").text == "old")
        let reads = fileSystem.counters.reads
        #expect(run("cat", mount.path + "/file").text == "old")
        #expect(fileSystem.counters.reads == reads)
        fileSystem.add("file", Array("new".utf8))
        #expect(run("cat", mount.path + "/file").text == "old")
        mount.session.invalidateInode(inode, offset: 0, length: 0)
        #expect(eventually { run("cat", mount.path + "/file").text == "new" })
        // A read-only handle closes without a flush.
        #expect(fileSystem.counters.flushes == 0)
        #expect(eventually { fileSystem.counters.releases == fileSystem.counters.opens })
    }
}
