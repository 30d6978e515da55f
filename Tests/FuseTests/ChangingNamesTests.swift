// Names are made, removed and renamed on a live mount, by system calls.

import Foundation
import Fuse
import Operations
import Testing

@Suite(.serialized, .tags(.kernel), .timeLimit(.minutes(2)))
struct ChangingNamesTests {
    @Test func createsFiles() throws {
        let fileSystem = StoringFileSystem()
        let mount = try LiveMount(fileSystem, readOnly: false)
        defer { mount.end() }
        SystemCalls.run(
            mount,
            """
            os.umask(0o027)
            with opened('new', os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666) as fd:
                status = os.fstat(fd)
                assert stat.S_IMODE(status.st_mode) == 0o640, oct(status.st_mode)
                assert (status.st_size, status.st_nlink) == (0, 1)
                assert (status.st_uid, status.st_gid) == (os.getuid(), os.getgid())
                assert os.stat(p('new')).st_ino == status.st_ino
            fails(errno.EEXIST, os.open, p('new'), os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            fails(errno.ENOENT, os.open, p('none/new'), os.O_CREAT | os.O_WRONLY)
            fails(errno.ENOTDIR, os.open, p('new/new'), os.O_CREAT | os.O_WRONLY)
            fails(errno.ENAMETOOLONG, os.open, p('n' * 256), os.O_CREAT | os.O_WRONLY)
            os.close(os.open(p('n' * 255), os.O_CREAT | os.O_WRONLY)); os.unlink(p('n' * 255))
            fails(errno.EISDIR, os.open, root, os.O_WRONLY)
            fails(errno.EOPNOTSUPP, os.open, root, os.O_TMPFILE | os.O_RDWR)
            # A name that is there is opened, with its bytes.
            put('new', b'bytes')
            with opened('new', os.O_CREAT | os.O_RDWR) as fd: assert os.read(fd, 9) == b'bytes'
            # A name that was missing a moment ago is there at once, and in the listing.
            assert not os.path.exists(p('later'))
            assert os.listdir(root) == ['new']
            put('later', b'')
            assert os.path.exists(p('later'))
            assert sorted(os.listdir(root)) == ['later', 'new']
            name = bytes([0xff, 0x20, 0x0a])
            os.close(os.open(root.encode() + b'/' + name, os.O_CREAT | os.O_WRONLY))
            assert name in os.listdir(root.encode())
            """)
        #expect(fileSystem.node("new")?.permissions == 0o640)
        #expect(
            fileSystem.state.withLock { $0.callers } == [Caller(uid: getuid(), gid: getgid())])
        #expect(eventually { fileSystem.state.withLock { $0.handles.isEmpty } })
    }

    @Test func makesNodesOfFilesOnly() throws {
        let fileSystem = StoringFileSystem()
        let mount = try LiveMount(fileSystem, readOnly: false)
        defer { mount.end() }
        SystemCalls.run(
            mount,
            """
            os.umask(0)
            os.mknod(p('file'), 0o600 | stat.S_IFREG)
            os.mknod(p('plain'), 0o604)
            assert stat.S_ISREG(os.stat(p('plain')).st_mode)
            fails(errno.EEXIST, os.mknod, p('file'), 0o600 | stat.S_IFREG)
            for kind in (stat.S_IFIFO, stat.S_IFSOCK):
                fails(errno.EPERM, os.mknod, p('node'), 0o600 | kind)
            if os.getuid() == 0:
                fails(errno.EPERM, os.mknod, p('node'), 0o600 | stat.S_IFCHR, os.makedev(1, 3))
            assert not os.path.exists(p('node'))
            """)
        #expect(fileSystem.count(.makeFile) == 2)
        #expect(fileSystem.node("plain")?.permissions == 0o604)
        #expect(fileSystem.node("node") == nil)
    }

    @Test func makesAndRemovesDirectories() throws {
        let fileSystem = StoringFileSystem()
        let mount = try LiveMount(fileSystem, readOnly: false)
        defer { mount.end() }
        SystemCalls.run(
            mount,
            """
            os.umask(0o022)
            os.makedirs(p('a/b/c'))
            os.mkdir(p('sticky'), 0o1777)
            assert stat.S_IMODE(os.stat(p('a/b')).st_mode) == 0o755
            fails(errno.EEXIST, os.mkdir, p('a'))
            fails(errno.ENOENT, os.mkdir, p('none/a'))
            put('a/b/file', b'1')
            fails(errno.EEXIST, os.mkdir, p('a/b/file'))
            fails(errno.ENOTDIR, os.rmdir, p('a/b/file'))
            fails(errno.ENOTEMPTY, os.rmdir, p('a/b'))
            fails(errno.EISDIR, os.unlink, p('a/b'))
            fails(errno.ENOENT, os.rmdir, p('none'))
            fails(errno.ENOENT, os.unlink, p('none'))
            before = os.stat(p('a/b')).st_mtime_ns
            os.unlink(p('a/b/file'))
            assert os.stat(p('a/b')).st_mtime_ns > before
            os.rmdir(p('a/b/c'))
            assert os.listdir(p('a/b')) == []
            os.rmdir(p('a/b'))
            assert not os.path.exists(p('a/b'))
            fd = os.open(p('a'), os.O_RDONLY | os.O_DIRECTORY)
            os.fsync(fd)
            os.close(fd)
            """)
        #expect(fileSystem.node("sticky")?.permissions == 0o1755)
        #expect(fileSystem.count(.synchronizeDirectory) == 1)
        #expect(fileSystem.node("a")?.children.isEmpty == true)
    }

    @Test func makesSymbolicLinksAndNoHardLinks() throws {
        let fileSystem = StoringFileSystem()
        let mount = try LiveMount(fileSystem, readOnly: false)
        defer { mount.end() }
        SystemCalls.run(
            mount,
            """
            os.symlink('file', p('link'))
            long = 'x/' * 2000
            os.symlink(long, p('long'))
            assert os.readlink(p('link')) == 'file' and os.readlink(p('long')) == long
            status = os.lstat(p('link'))
            assert status.st_mode == stat.S_IFLNK | 0o777, oct(status.st_mode)
            assert status.st_size == 4
            fails(errno.EEXIST, os.symlink, 'x', p('link'))
            fails(errno.ENOENT, open, p('link'))
            put('file', b'seen')
            assert get('link') == b'seen'
            fails(errno.EPERM, os.link, p('file'), p('hard'))
            assert not os.path.exists(p('hard'))
            fails(errno.EINVAL, os.readlink, p('file'))
            os.unlink(p('link'))
            fails(errno.ENOENT, os.readlink, p('link'))
            assert get('file') == b'seen'
            """)
    }

    @Test func renames() throws {
        let fileSystem = StoringFileSystem()
        let mount = try LiveMount(fileSystem, readOnly: false)
        defer { mount.end() }
        SystemCalls.run(
            mount,
            """
            NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
            os.mkdir(p('d'))
            os.mkdir(p('full'))
            put('full/x', b'x')
            put('a', b'A'); put('b', b'B')
            inode = os.stat(p('a')).st_ino
            os.rename(p('a'), p('d/a'))
            assert os.stat(p('d/a')).st_ino == inode and not os.path.exists(p('a'))
            fails(errno.ENOENT, os.rename, p('a'), p('c'))
            fails(errno.EEXIST, rename, 'd/a', 'b', NOREPLACE)
            assert get('b') == b'B'
            # Whoever has the replaced file open reads on.
            with opened('b', os.O_RDONLY) as fd:
                rename('d/a', 'b', 0)
                assert get('b') == b'A'
                assert os.pread(fd, 9, 0) == b'B'
                assert os.fstat(fd).st_nlink == 0
            rename('b', 'c', NOREPLACE)
            assert get('c') == b'A'
            put('e', b'E')
            rename('c', 'e', EXCHANGE)
            assert get('c') == b'E' and get('e') == b'A'
            rename('c', 'full', EXCHANGE)
            assert get('c/x') == b'x' and get('full') == b'E'
            fails(errno.ENOENT, rename, 'c', 'none', EXCHANGE)
            fails(errno.EINVAL, rename, 'c', 'e', NOREPLACE | EXCHANGE)
            fails(errno.EINVAL, rename, 'e', 'g', 1 << 5)
            if os.getuid() == 0: fails(errno.EINVAL, rename, 'e', 'g', WHITEOUT)
            fails(errno.EISDIR, os.rename, p('e'), p('d'))
            fails(errno.ENOTDIR, os.rename, p('d'), p('e'))
            fails(errno.ENOTEMPTY, os.rename, p('d'), p('c'))
            fails(errno.EINVAL, os.rename, p('c'), p('c/below'))
            fails(errno.EXDEV, os.rename, p('e'), '/dev/shm/pail-never')
            os.rename(p('c'), p('d'))
            assert sorted(os.listdir(root)) == ['d', 'e', 'full']
            assert get('d/x') == b'x'
            """)
        #expect(fileSystem.node("d/x") != nil)
    }

    @Test func unlinkedFilesLiveOnWhileOpen() throws {
        let fileSystem = StoringFileSystem()
        let mount = try LiveMount(fileSystem, readOnly: false)
        defer { mount.end() }
        SystemCalls.run(
            mount,
            """
            with opened('gone', os.O_CREAT | os.O_RDWR) as fd:
                os.write(fd, b'first')
                os.unlink(p('gone'))
                assert not os.path.exists(p('gone'))
                os.write(fd, b' second')
                assert os.pread(fd, 99, 0) == b'first second'
                assert os.fstat(fd).st_size == 12
                put('gone', b'another')
                assert os.pread(fd, 99, 0) == b'first second'
            assert get('gone') == b'another'
            """)
        // The root, and what has a name; the kernel forgot the other.
        #expect(eventually { fileSystem.state.withLock { $0.nodes.count } == 2 })
    }

    @Test func checksPermissionsOfOthers() throws {
        try #require(geteuid() == 0)
        let fileSystem = StoringFileSystem()
        let mount = try LiveMount(fileSystem, readOnly: false, allowOther: true)
        defer { mount.end() }
        // The directory above belongs to the test's user, and is made for its owner only.
        // So may be those above it, where TMPDIR is a test run's own.
        var above = (mount.path as NSString).deletingLastPathComponent
        while above.count > 1 {
            var status = stat()
            if stat(above, &status) == 0, status.st_mode & 0o001 == 0 {
                chmod(above, status.st_mode & 0o7777 | 0o011)
            }
            above = (above as NSString).deletingLastPathComponent
        }
        chmod((mount.path as NSString).deletingLastPathComponent, 0o755)
        SystemCalls.run(
            mount,
            """
            os.mkdir(p('open'), 0o777); os.chmod(p('open'), 0o777)
            put('mine', b'1'); os.chmod(p('mine'), 0o600)
            os.setgid(65534); os.setuid(65534)
            fails(errno.EACCES, os.open, p('mine'), os.O_RDONLY)
            fails(errno.EACCES, os.open, p('new'), os.O_CREAT | os.O_WRONLY)
            fails(errno.EPERM, os.chmod, p('mine'), 0o666)
            put('open/theirs', b'2')
            assert os.stat(p('open/theirs')).st_uid == 65534
            fails(errno.EPERM, os.chown, p('open/theirs'), 0, 0)
            """)
        #expect(fileSystem.node("open/theirs")?.uid == 65534)
        #expect(
            fileSystem.state.withLock { $0.callers.contains(Caller(uid: 65534, gid: 65534)) })
    }
}
