// Modes, owners, times, sizes and extended attributes are changed on a live mount.

import Foundation
import Fuse
import Operations
import Testing

@Suite(.serialized, .tags(.kernel), .timeLimit(.minutes(2)))
struct ChangingAttributesTests {
    @Test func changesModesAndOwners() throws {
        let fileSystem = StoringFileSystem()
        let mount = try LiveMount(fileSystem, readOnly: false)
        defer { mount.end() }
        SystemCalls.run(
            mount,
            """
            put('file', b'1')
            before = os.stat(p('file'))
            os.chmod(p('file'), 0o4751)
            after = os.stat(p('file'))
            assert stat.S_IMODE(after.st_mode) == 0o4751
            assert after.st_ctime_ns > before.st_ctime_ns and after.st_mtime_ns == before.st_mtime_ns
            with opened('file') as fd:
                os.fchmod(fd, 0o600)
                assert stat.S_IMODE(os.fstat(fd).st_mode) == 0o600
            if os.getuid() == 0:
                os.chown(p('file'), 12, 34)
                os.chown(p('file'), -1, 56)
                assert (os.stat(p('file')).st_uid, os.stat(p('file')).st_gid) == (12, 56)
                os.symlink('file', p('link'))
                os.lchown(p('link'), 7, 8)
                assert os.lstat(p('link')).st_uid == 7 and os.stat(p('link')).st_uid == 12
            """)
        #expect(fileSystem.node("file")?.permissions == 0o600)
    }

    @Test func changesTimes() throws {
        let fileSystem = StoringFileSystem()
        let mount = try LiveMount(fileSystem, readOnly: false)
        defer { mount.end() }
        SystemCalls.run(
            mount,
            """
            put('file', b'1')
            path = p('file')
            def mtime(): return os.stat(path).st_mtime_ns
            os.utime(path, ns=(1, 1234567890123456789))
            assert mtime() == 1234567890123456789
            utimes(path, (0, OMIT), (5, 6))
            assert mtime() == 5000000006
            utimes(path, (7, 8), (0, OMIT))
            assert mtime() == 5000000006
            utimes(path, (0, OMIT), (0, OMIT))
            assert mtime() == 5000000006
            start = time.time_ns()
            utimes(path, (0, OMIT), (0, NOW))
            assert start - 10**9 < mtime() <= time.time_ns() + 10**9
            # Before 1970, and on a descriptor.
            with opened('file') as fd: os.utime(fd, ns=(0, -1500000000))
            assert mtime() == -1500000000
            # Further than nanoseconds reach: the nearest, and nothing breaks.
            for seconds in (9223372036, 9223372037, 1 << 40, -9223372037, -(1 << 40)):
                utimes(path, (seconds, 999999999), (seconds, 999999999))
            os.mkdir(p('d'))
            os.utime(p('d'), (0, 77))
            assert os.stat(p('d')).st_mtime == 77
            """)
        // One that omits both is no request at all.
        #expect(fileSystem.node("file")?.accessed == .min)
        #expect(fileSystem.node("d")?.modified == 77_000_000_000)
    }

    @Test func truncates() throws {
        let fileSystem = StoringFileSystem()
        let mount = try LiveMount(fileSystem, readOnly: false)
        defer { mount.end() }
        SystemCalls.run(
            mount,
            """
            put('file', b'0123456789' * 1000)
            os.truncate(p('file'), 5)
            assert get('file') == b'01234'
            os.truncate(p('file'), 9000)
            assert get('file') == b'01234' + bytes(8995)
            with opened('file') as fd:
                os.ftruncate(fd, 4097)
                assert os.fstat(fd).st_size == 4097 and os.fstat(fd).st_blocks == 9
                assert os.pread(fd, 9999, 4000) == bytes(97)
            # O_TRUNC is one request: no setattr.
            with opened('file', os.O_WRONLY | os.O_TRUNC) as fd: os.write(fd, b'ab')
            assert get('file') == b'ab'
            with opened('file', os.O_RDONLY | os.O_TRUNC) as fd: assert os.read(fd, 9) == b''
            assert os.stat(p('file')).st_size == 0
            fails(errno.EINVAL, os.truncate, p('file'), -1)
            fails(errno.EISDIR, os.truncate, root, 0)
            # As large as sizes get.
            os.truncate(p('file'), (1 << 63) - 1)
            assert os.stat(p('file')).st_size == (1 << 63) - 1
            os.truncate(p('file'), 0)
            """)
        #expect(fileSystem.count(.setAttributes) == 5)
    }

    @Test func setsExtendedAttributes() throws {
        let fileSystem = StoringFileSystem()
        let mount = try LiveMount(fileSystem, readOnly: false)
        defer { mount.end() }
        SystemCalls.run(
            mount,
            """
            put('file', b'')
            path = p('file')
            os.setxattr(path, 'user.a', b'one')
            assert os.getxattr(path, 'user.a') == b'one'
            fails(errno.EEXIST, os.setxattr, path, 'user.a', b'two', os.XATTR_CREATE)
            fails(errno.ENODATA, os.setxattr, path, 'user.b', b'two', os.XATTR_REPLACE)
            os.setxattr(path, 'user.a', b'', os.XATTR_REPLACE)
            assert os.getxattr(path, 'user.a') == b''
            os.setxattr(path, 'user.b', bytes(range(256)) * 256, os.XATTR_CREATE)
            assert os.getxattr(path, 'user.b') == bytes(range(256)) * 256
            assert sorted(os.listxattr(path)) == ['user.a', 'user.b']
            os.removexattr(path, 'user.a')
            fails(errno.ENODATA, os.removexattr, path, 'user.a')
            fails(errno.ENODATA, os.getxattr, path, 'user.a')
            assert os.listxattr(path) == ['user.b']
            fails(errno.E2BIG, os.setxattr, path, 'user.c', bytes(65537))
            os.mkdir(p('d'))
            os.setxattr(p('d'), 'user.x', b'1')
            assert os.listxattr(p('d')) == ['user.x']
            """)
    }

    /// A write must not cost a question: security.capability is asked for once a file at most.
    @Test func writesAskForNoAttributes() throws {
        let fileSystem = StoringFileSystem()
        let mount = try LiveMount(fileSystem, readOnly: false)
        defer { mount.end() }
        SystemCalls.run(
            mount,
            """
            with opened('file', os.O_CREAT | os.O_RDWR) as fd:
                for i in range(200): os.write(fd, b'x' * 100)
                os.lseek(fd, 0, 0)
                for i in range(200): os.write(fd, b'y' * 100)
            """)
        // A few more, where one crosses into a page that the kernel has not whole.
        #expect(fileSystem.count(.write) >= 400)
        #expect(fileSystem.count(.getExtendedAttribute) <= 1)
        #expect(fileSystem.count(.setAttributes) == 0)
    }

    @Test func readOnlyMountsRefuseEverything() throws {
        let fileSystem = StoringFileSystem()
        fileSystem.add("file", [1])
        let mount = try LiveMount(fileSystem)
        defer { mount.end() }
        SystemCalls.run(
            mount,
            """
            assert os.statvfs(root).f_flag & os.ST_RDONLY
            for call, arguments in (
                (os.open, (p('new'), os.O_CREAT | os.O_WRONLY)), (os.open, (p('file'), os.O_RDWR)),
                (os.mkdir, (p('d'),)), (os.unlink, (p('file'),)), (os.truncate, (p('file'), 0)),
                (os.rename, (p('file'), p('g'))), (os.symlink, ('a', p('b'))),
                (os.chmod, (p('file'), 0o600)), (os.setxattr, (p('file'), 'user.a', b'')),
            ): fails(errno.EROFS, call, *arguments)
            """)
        let changes: [StoringFileSystem.Operation] = [
            .create, .makeDirectory, .unlink, .setAttributes, .rename, .makeSymbolicLink,
            .setExtendedAttribute,
        ]
        #expect(changes.allSatisfy { fileSystem.count($0) == 0 })
    }
}
