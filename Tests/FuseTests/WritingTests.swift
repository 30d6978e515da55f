// Bytes are written on a live mount: the ways of writing, and what the kernel's pages show afterwards.

import Foundation
import Fuse
import Operations
import Testing

@Suite(.serialized, .tags(.kernel), .timeLimit(.minutes(2)))
struct WritingTests {
    /// Runs a script on a mount of an empty tree.
    private func check(_ fileSystem: StoringFileSystem, _ script: String) throws {
        let mount = try LiveMount(fileSystem, readOnly: false)
        defer { mount.end() }
        SystemCalls.run(mount, script)
    }

    @Test func writesAnywhereAndAppends() throws {
        let fileSystem = StoringFileSystem()
        try check(
            fileSystem,
            """
            with opened('file', os.O_CREAT | os.O_RDWR) as fd:
                assert os.write(fd, b'hello') == 5
                assert os.pwrite(fd, b'J', 0) == 1
                assert os.pwrite(fd, b'end', 10000) == 3
                assert os.fstat(fd).st_size == 10003
                assert os.pread(fd, 20000, 0) == b'Jello' + bytes(9995) + b'end'
                assert os.pwrite(fd, b'', 5) == 0
            before = os.stat(p('file'))
            with opened('file', os.O_WRONLY | os.O_APPEND) as fd:
                os.lseek(fd, 0, 0)
                os.write(fd, b'one')
                os.write(fd, b'two')
            assert get('file')[9990:] == bytes(10) + b'endonetwo'
            after = os.stat(p('file'))
            assert after.st_mtime_ns > before.st_mtime_ns and after.st_size == 10009
            with opened('file', os.O_RDONLY) as fd: fails(errno.EBADF, os.write, fd, b'x')
            # Two that append by turns lose nothing.
            a = os.open(p('log'), os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            b = os.open(p('log'), os.O_WRONLY | os.O_APPEND)
            for i in range(100): os.write(a, b'aaaa\\n'); os.write(b, b'bb\\n')
            os.close(a); os.close(b)
            assert get('log') == b'aaaa\\nbb\\n' * 100
            """)
        #expect(fileSystem.bytes("log")?.count == 800)
    }

    @Test func largeWritesComeByTheMebibyte() throws {
        let fileSystem = StoringFileSystem()
        try check(
            fileSystem,
            """
            data = os.urandom(5 << 20)
            put('file', data)
            assert get('file') == data
            memory = mmap.mmap(-1, 4 << 20)
            memory.write(data[:4 << 20])
            with opened('direct', os.O_CREAT | os.O_WRONLY | os.O_DIRECT) as fd:
                assert os.write(fd, memory) == 4 << 20
            assert get('direct') == data[:4 << 20]
            """)
        #expect(fileSystem.state.withLock { $0.largestWrite } == 1 << 20)
        #expect(fileSystem.count(.write) <= 10)
    }

    /// Reading once makes pages, and KEEP_CACHE keeps them: what is written afterwards must show.
    @Test(arguments: [true, false])
    func pagesShowWhatWasWritten(keepCache: Bool) throws {
        let fileSystem = StoringFileSystem()
        fileSystem.state.withLock { $0.keepCache = keepCache }
        fileSystem.add("file", pattern(300_000))
        fileSystem.add("other", pattern(300_000, seed: 2))
        try check(
            fileSystem,
            """
            other, expected = get('other'), bytearray(get('file'))
            def same():
                assert get('file') == expected
                with opened('file', os.O_RDONLY) as fd:
                    with mmap.mmap(fd, 0, prot=mmap.PROT_READ) as m: assert m[:] == expected
            same()
            reader = os.open(p('file'), os.O_RDONLY)
            assert os.pread(reader, 1 << 20, 0) == expected
            def step(work, flags=os.O_RDWR):
                with opened('file', flags) as fd: work(fd)
                same()
                assert os.pread(reader, 1 << 20, 0) == expected
            def inside(fd):
                os.pwrite(fd, b'A' * 5000, 100)
                expected[100:5100] = b'A' * 5000
            step(inside)
            def direct(fd):
                m = mmap.mmap(-1, 8192); m.write(b'D' * 8192)
                os.pwrite(fd, m, 12288)
                expected[12288:20480] = b'D' * 8192
            step(direct, os.O_RDWR | os.O_DIRECT)
            def copy(fd):
                with opened('other', os.O_RDONLY) as source:
                    assert os.copy_file_range(source, fd, 70000, 1000, 40000) == 70000
                expected[40000:110000] = other[1000:71000]
            step(copy)
            def punch(fd):
                fallocate(fd, 3, 30000, 50000)
                expected[30000:80000] = bytes(50000)
            step(punch)
            def zero(fd):
                fallocate(fd, 0x10, 290000, 20000)
                expected[290000:] = bytes(20000)
            step(zero)
            def cut(fd):
                os.ftruncate(fd, 100001)
                os.ftruncate(fd, 200000)
                expected[100001:] = bytes(99999)
            step(cut)
            def mapped(fd):
                with mmap.mmap(fd, 0) as m: m[150000:150004] = b'MMAP'
                expected[150000:150004] = b'MMAP'
            step(mapped)
            def emptied(fd):
                os.write(fd, b'new')
                expected[:] = b'new'
            step(emptied, os.O_WRONLY | os.O_TRUNC)
            def again(fd):
                os.pwrite(fd, b'far', 9000)
                expected[3:] = bytes(8997) + b'far'
            step(again)
            os.rename(p('other'), p('file'))
            expected = other
            assert get('file') == other
            """)
    }

    @Test func sharedMappingsReachTheFile() throws {
        let fileSystem = StoringFileSystem()
        let mount = try LiveMount(fileSystem, readOnly: false)
        defer { mount.end() }
        SystemCalls.run(
            mount,
            """
            with opened('file', os.O_CREAT | os.O_RDWR) as fd:
                os.ftruncate(fd, 3 << 20)
                with mmap.mmap(fd, 3 << 20) as m:
                    m[5:9] = b'here'
                    m[(2 << 20) + 1:(2 << 20) + 6] = b'there'
                    # Seen by read(2), and by another process that maps it, before any msync.
                    assert os.pread(fd, 4, 5) == b'here'
                    child = os.fork()
                    if child == 0:
                        with mmap.mmap(fd, 3 << 20) as n:
                            assert n[5:9] == b'here'
                            n[0:2] = b'by'
                        os._exit(0)
                    assert os.waitpid(child, 0)[1] == 0
                    assert m[0:2] == b'by'
                    m.flush()
                    m[100:104] = b'late'
            # Written through a mapping that outlives its descriptor.
            fd = os.open(p('file'), os.O_RDWR)
            m = mmap.mmap(fd, 4096)
            os.close(fd)
            m[200:205] = b'after'
            m.close()
            """)
        let bytes = try #require(fileSystem.bytes("file"))
        #expect(bytes.count == 3 << 20)
        for (offset, text) in [
            (0, "by"), (5, "here"), (100, "late"), (200, "after"), ((2 << 20) + 1, "there"),
        ] {
            #expect(bytes[offset..<offset + text.utf8.count].elementsEqual(text.utf8), "\(text)")
        }
    }

    @Test func holesAndAllocation() throws {
        let fileSystem = StoringFileSystem()
        try check(
            fileSystem,
            """
            with opened('file', os.O_CREAT | os.O_RDWR) as fd:
                os.pwrite(fd, b'x', 1 << 20)
                assert os.lseek(fd, 0, os.SEEK_DATA) == 1 << 20
                assert os.lseek(fd, 0, os.SEEK_HOLE) == 0
                assert os.lseek(fd, 1 << 20, os.SEEK_HOLE) == (1 << 20) + 1
                fails(errno.ENXIO, os.lseek, fd, (1 << 20) + 1, os.SEEK_DATA)
                fails(errno.ENXIO, os.lseek, fd, 1 << 30, os.SEEK_HOLE)
                os.posix_fallocate(fd, 0, 2 << 20)
                assert os.fstat(fd).st_size == 2 << 20
                assert os.lseek(fd, 0, os.SEEK_HOLE) == 2 << 20
                fallocate(fd, 1, 2 << 20, 4096)
                assert os.fstat(fd).st_size == 2 << 20
                fallocate(fd, 3, 1 << 20, 65536)
                assert os.pread(fd, 1, 1 << 20) == bytes(1)
                assert os.lseek(fd, 0, os.SEEK_HOLE) == 1 << 20
                fallocate(fd, 0x11, 3 << 20, 4096)
                assert os.fstat(fd).st_size == 2 << 20
                fallocate(fd, 0x10, 3 << 20, 4096)
                assert os.fstat(fd).st_size == (3 << 20) + 4096
                for mode in (8, 0x20, 2): # COLLAPSE_RANGE, INSERT_RANGE, PUNCH_HOLE alone
                    fails(errno.EOPNOTSUPP, fallocate, fd, mode, 0, 4096)
                fails(errno.EINVAL, fallocate, fd, 0, 0, 0)
                fails(errno.EINVAL, fallocate, fd, 0, -1, 1)
            with opened('file', os.O_RDONLY) as fd: fails(errno.EBADF, fallocate, fd, 0, 0, 1)
            """)
        #expect(fileSystem.node("file")?.contents.size == 3 << 20 | 4096)
    }

    @Test func copiesRanges() throws {
        let fileSystem = StoringFileSystem()
        fileSystem.add("source", pattern(3_000_000))
        try check(
            fileSystem,
            """
            data = get('source')
            with opened('source', os.O_RDONLY) as s, opened('copy', os.O_CREAT | os.O_RDWR) as t:
                assert os.copy_file_range(s, t, 1 << 40) == 3000000
                assert os.copy_file_range(s, t, 1 << 40) == 0
                assert os.fstat(t).st_size == 3000000
                assert os.copy_file_range(s, t, 100, 2999990, 0) == 10
                fails(errno.EBADF, os.copy_file_range, t, s, 10, 0, 0)
                # Parts of one file must not overlap.
                fails(errno.EINVAL, os.copy_file_range, t, t, 100, 0, 50)
            assert get('copy') == data[2999990:] + data[10:]
            """)
    }

    @Test func everyDescriptorFlushesAndOneReleases() throws {
        let fileSystem = StoringFileSystem()
        try check(
            fileSystem,
            """
            fd = os.open(p('file'), os.O_CREAT | os.O_WRONLY)
            second = os.dup(fd)
            os.write(fd, b'1'); os.close(fd)
            os.write(second, b'2')
            child = os.fork()
            if child == 0:
                os.write(second, b'3'); os.close(second); os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            os.write(second, b'4')
            os.fsync(second)
            os.fdatasync(second)
            os.close(second)
            assert get('file') == b'1234'
            subprocess.run(['sh', '-c', 'echo one; (echo two); echo three'],
                stdout=open(p('shell'), 'wb'), check=True)
            assert get('shell') == b'one\\ntwo\\nthree\\n'
            """)
        // Three closes of `file`, and some of `shell`; none for what was only read.
        #expect(fileSystem.count(.flush) >= 6)
        #expect(fileSystem.state.withLock { $0.synchronized } == [false, true])
        #expect(eventually { fileSystem.count(.release) == 4 })
        #expect(fileSystem.state.withLock { $0.handles.isEmpty })
    }

    /// Only what may have changed the file is flushed; O_TRUNC has, whatever it was opened for.
    @Test func onlyChangesAreFlushed() throws {
        let fileSystem = StoringFileSystem()
        fileSystem.add("file", pattern(100))
        try check(fileSystem, "for i in range(3): os.close(os.open(p('file'), os.O_RDONLY))")
        #expect(fileSystem.count(.flush) == 0)
        try check(fileSystem, "os.close(os.open(p('file'), os.O_RDONLY | os.O_TRUNC))")
        #expect(fileSystem.count(.flush) == 1)
        try check(fileSystem, "os.close(os.open(p('new'), os.O_RDONLY | os.O_CREAT))")
        #expect(fileSystem.count(.flush) == 2)
    }

    @Test func errorsReachTheCaller() throws {
        let fileSystem = StoringFileSystem()
        fileSystem.add("file", pattern(10_000))
        let mount = try LiveMount(fileSystem, readOnly: false)
        defer { mount.end() }
        for (error, name) in [
            (Errno.noSpace, "ENOSPC"), (.quotaExceeded, "EDQUOT"), (.inputOutput, "EIO"),
            (.stale, "ESTALE"), (.fileTooLarge, "EFBIG"),
        ] {
            fileSystem.state.withLock { $0.writeError = error }
            SystemCalls.run(
                mount,
                """
                before = get('file')
                with opened('file') as fd:
                    fails(errno.\(name), os.pwrite, fd, b'x' * 5000, 10)
                    with mmap.mmap(fd, 4096) as m:
                        m[0:1] = b'y'
                        fails(errno.\(name), m.flush)
                # Nothing of it stays in the pages.
                fd = os.open(p('file'), os.O_RDONLY)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                assert os.pread(fd, 10000, 4096) == before[4096:]
                """)
        }
        fileSystem.state.withLock { $0.writeError = nil }
    }
}
