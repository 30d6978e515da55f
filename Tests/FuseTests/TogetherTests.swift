// Several at once: locks, races for a name, writers side by side, and a write that waits.

import Foundation
import Fuse
import Operations
import Testing

@Suite(.serialized, .tags(.kernel), .timeLimit(.minutes(2)))
struct TogetherTests {
    /// flock(2), fcntl(2) and open file description locks, between two processes.
    @Test func locksHoldBetweenProcesses() throws {
        let fileSystem = StoringFileSystem()
        let mount = try LiveMount(fileSystem, readOnly: false)
        defer { mount.end() }
        SystemCalls.run(
            mount,
            """
            put('file', b'0' * 100)
            OFD_SETLK = 37
            def ofd(fd, kind, start, length):
                fcntl.fcntl(fd, OFD_SETLK, struct.pack('hhqqi4x', kind, 0, start, length, 0))
            def elsewhere(check):
                child = os.fork()
                if child == 0:
                    status = 1
                    try:
                        with opened('file') as fd: check(fd)
                        status = 0
                    finally: os._exit(status)
                assert os.waitpid(child, 0)[1] == 0
            def refused(call, *arguments):
                try: call(*arguments)
                except BlockingIOError: return
                except PermissionError: return
                raise AssertionError('not locked')
            with opened('file') as fd:
                fcntl.flock(fd, fcntl.LOCK_EX)
                elsewhere(lambda f: refused(fcntl.flock, f, fcntl.LOCK_EX | fcntl.LOCK_NB))
                fcntl.flock(fd, fcntl.LOCK_SH)
                elsewhere(lambda f: fcntl.flock(f, fcntl.LOCK_SH | fcntl.LOCK_NB))
                elsewhere(lambda f: refused(fcntl.flock, f, fcntl.LOCK_EX | fcntl.LOCK_NB))
                fcntl.flock(fd, fcntl.LOCK_UN)
                elsewhere(lambda f: fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB))

                fcntl.lockf(fd, fcntl.LOCK_EX, 10, 20)
                now = fcntl.LOCK_EX | fcntl.LOCK_NB
                elsewhere(lambda f: fcntl.lockf(f, now, 20, 0))
                elsewhere(lambda f: refused(fcntl.lockf, f, now, 5, 25))
                fcntl.lockf(fd, fcntl.LOCK_UN, 5, 25)
                elsewhere(lambda f: fcntl.lockf(f, now, 5, 25))
                elsewhere(lambda f: refused(fcntl.lockf, f, now, 1, 24))
                fcntl.lockf(fd, fcntl.LOCK_UN)

                ofd(fd, fcntl.F_WRLCK, 0, 10)
                elsewhere(lambda f: refused(ofd, f, fcntl.F_WRLCK, 9, 1))
                elsewhere(lambda f: ofd(f, fcntl.F_WRLCK, 10, 1))

                # One that waits gets it when the holder is gone.
                child = os.fork()
                if child == 0:
                    with opened('file') as f:
                        fcntl.flock(f, fcntl.LOCK_EX)
                        os.write(f, b'mine')
                    os._exit(0)
                assert os.waitpid(child, 0)[1] == 0
            with opened('file') as f: fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            """)
    }

    @Test func oneOfSixteenCreates() throws {
        let fileSystem = StoringFileSystem()
        let mount = try LiveMount(fileSystem, readOnly: false)
        defer { mount.end() }
        SystemCalls.run(
            mount,
            """
            start = threading.Barrier(16)
            won, other = [], []
            def race(number):
                for turn in range(40):
                    start.wait()
                    try:
                        fd = os.open(p('lock%d' % turn), os.O_CREAT | os.O_EXCL | os.O_WRONLY)
                        os.write(fd, b'%d' % number)
                        os.close(fd)
                        won.append((turn, number))
                    except FileExistsError: pass
                    except OSError as error: other.append(error)
            threads = [threading.Thread(target=race, args=(n,)) for n in range(16)]
            for t in threads: t.start()
            for t in threads: t.join()
            assert not other, other
            assert sorted(turn for turn, n in won) == list(range(40)), won
            for turn, number in won: assert get('lock%d' % turn) == b'%d' % number
            """)
        #expect(eventually { fileSystem.state.withLock { $0.handles.isEmpty } })
    }

    @Test func writersSideBySide() throws {
        let fileSystem = StoringFileSystem()
        let mount = try LiveMount(fileSystem, readOnly: false)
        defer { mount.end() }
        SystemCalls.run(
            mount,
            """
            children = []
            put('one', b'')
            for number in range(8):
                child = os.fork()
                if child == 0:
                    status = 1
                    try:
                        mine = bytes([number + 65]) * 30000
                        with opened('one') as fd:
                            for turn in range(10):
                                os.pwrite(fd, mine, (turn * 8 + number) * 30000)
                        put('file%d' % number, mine * 10)
                        status = 0
                    finally: os._exit(status)
                children.append(child)
            for child in children: assert os.waitpid(child, 0)[1] == 0
            expected = b''.join(bytes([n + 65]) * 30000 for n in range(8)) * 10
            assert get('one') == expected
            for n in range(8): assert get('file%d' % n) == bytes([n + 65]) * 300000
            """)
    }

    @Test func aWaitingWriteHoldsUpNobodyElse() throws {
        let fileSystem = StoringFileSystem()
        fileSystem.add("slow", pattern(100_000))
        fileSystem.state.withLock { $0.timeout = .zero }
        let mount = try LiveMount(fileSystem, readOnly: false, threads: 4)
        defer { mount.end() }
        fileSystem.park(.write)
        // More writers than the loop has threads.
        let writers = try (0..<8).map { number in
            try SystemCalls.start(
                mount,
                """
                number = \(number)
                with opened('slow' if number == 0 else 'w%d' % number,
                        os.O_CREAT | os.O_WRONLY) as fd:
                    assert os.write(fd, b'%d' % number * 10) == 10
                """)
        }
        #expect(eventually { fileSystem.parkedCount == 8 })
        let asked = fileSystem.count(.getAttributes)
        // The attributes of the very file, its later pages, other names.
        SystemCalls.run(
            mount,
            """
            for i in range(3): assert os.stat(p('slow')).st_size == 100000
            with opened('slow', os.O_RDONLY) as fd: assert len(os.pread(fd, 4096, 50000 // 4096 * 4096)) == 4096
            assert len(os.listdir(root)) == 8
            os.mkdir(p('d'))
            """, seconds: 20)
        #expect(fileSystem.count(.getAttributes) >= asked + 3)
        #expect(fileSystem.parkedCount == 8)
        fileSystem.unpark()
        for writer in writers {
            let output = writer.wait()
            #expect(output.text == "done\n", "\(output.err)")
        }
        #expect(fileSystem.count(.write) == 8)
        #expect(fileSystem.bytes("slow")?.starts(with: Array("0000000000".utf8)) == true)
    }

    /// Invalidations of the very file and directory that are being changed, all the time.
    @Test func notificationsAndChangesDoNotMeet() throws {
        let fileSystem = StoringFileSystem()
        let inode = fileSystem.add("file", pattern(1 << 20))
        let mount = try LiveMount(fileSystem, readOnly: false)
        defer { mount.end() }
        let script = """
            end = time.monotonic() + 3
            turn = 0
            with opened('file') as fd:
                with mmap.mmap(fd, 1 << 20) as m:
                    while time.monotonic() < end:
                        turn += 1
                        mark = b'%08d' % turn
                        m[8192:8200] = mark
                        os.pwrite(fd, mark, 100000)
                        assert os.pread(fd, 8, 100000) == mark
                        name = 'n%d' % (turn % 7)
                        put(name, mark)
                        assert get(name) == mark
                        os.rename(p(name), p('target'))
                        os.unlink(p('target'))
                        if turn % 10 == 0: m.flush()
                        assert m[8192:8200] == mark
            with opened('file') as fd: assert os.pread(fd, 8, 8192) == mark
            """
        let child = try SystemCalls.start(mount, script)
        while child.process.isRunning {
            mount.session.invalidateInode(inode, offset: 0, length: 0)
            mount.session.invalidateInode(1, offset: -1, length: 0)
            for number in 0..<7 {
                mount.session.invalidateEntry(parent: 1, name: Array("n\(number)".utf8))
            }
            mount.session.invalidateEntry(parent: 1, name: Array("target".utf8))
            usleep(200)
        }
        let output = child.wait()
        #expect(output.text == "done\n", "\(output.status) \(output.err)")
    }

    @Test(.enabled(if: run("git", "--version").status == 0))
    func gitAndSQLiteWork() throws {
        let fileSystem = StoringFileSystem()
        let mount = try LiveMount(fileSystem, readOnly: false)
        defer { mount.end() }
        SystemCalls.run(
            mount,
            """
            import sqlite3
            for mode in ('delete', 'wal'):
                base = p(mode + '.db')
                one, two = sqlite3.connect(base), sqlite3.connect(base)
                assert one.execute('pragma journal_mode=' + mode).fetchone()[0] == mode
                one.execute('create table t(n integer primary key, text)')
                for n in range(200):
                    with one: one.execute('insert into t values(?, ?)', (n, 'x' * 500))
                    if n % 50 == 0: assert two.execute('select count(*) from t').fetchone()[0] == n + 1
                with two: two.execute('delete from t where n % 2')
                assert one.execute('select count(*) from t').fetchone()[0] == 100
                assert one.execute('pragma integrity_check').fetchone()[0] == 'ok'
                one.close(); two.close()
            os.environ.update(HOME=root, GIT_CONFIG_NOSYSTEM='1', GIT_AUTHOR_NAME='a',
                GIT_AUTHOR_EMAIL='a@b', GIT_COMMITTER_NAME='a', GIT_COMMITTER_EMAIL='a@b')
            def git(*arguments):
                return subprocess.run(('git', '-C', p('repo')) + arguments, check=True,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout
            os.mkdir(p('repo'))
            git('init', '-q')
            for n in range(30): put('repo/file%d' % n, os.urandom(2000))
            os.symlink('file1', p('repo/link'))
            os.chmod(p('repo/file2'), 0o755)
            git('add', '-A'); git('commit', '-qm', 'first')
            put('repo/file3', b'changed'); git('commit', '-qam', 'second')
            git('checkout', '-q', 'HEAD~1'); git('checkout', '-q', '-'); git('gc', '-q')
            git('fsck', '--strict')
            assert git('status', '--porcelain') == b'', git('status', '--porcelain')
            """, seconds: 90)
    }
}
