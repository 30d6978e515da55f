// A process is killed while its change is under way; the change is done all the same. What it counted
// and opened is given back, and the kernel sees the new state.

import Foundation
import Fuse
import Operations
import Testing

@Suite(.serialized, .tags(.kernel), .timeLimit(.minutes(2)))
struct LateChangeTests {
    /// Kills `script` while `operation` is parked, looks with `between`, then lets it be done.
    private func kill(
        _ mount: LiveMount, _ fileSystem: StoringFileSystem,
        during operation: StoringFileSystem.Operation, _ script: String,
        between: String = "pass", _ location: SourceLocation = #_sourceLocation
    ) throws {
        fileSystem.park(operation)
        let child = try SystemCalls.start(mount, script)
        #expect(eventually { fileSystem.parkedCount == 1 }, sourceLocation: location)
        Foundation.kill(child.process.processIdentifier, SIGKILL)
        #expect(child.wait(5).status == SIGKILL, sourceLocation: location)
        // What the kernel learns now is about to be wrong.
        fileSystem.state.withLock { $0.parking = [] }
        SystemCalls.run(mount, between, location)
        #expect(fileSystem.parkedCount == 1, sourceLocation: location)
        fileSystem.unpark()
    }

    private func looks(_ mount: LiveMount, _ condition: String) -> Bool {
        eventually(5) {
            (try? SystemCalls.start(mount, "sys.exit(0 if \(condition) else 1)").wait().status) == 0
        }
    }

    @Test func aLateCreationIsSeenAndGivenBack() throws {
        let fileSystem = StoringFileSystem()
        let mount = try LiveMount(fileSystem, readOnly: false)
        defer { mount.end() }
        let missing = "assert not os.path.exists(p('new')) and os.listdir(root) == []"
        let makers: [(StoringFileSystem.Operation, String)] = [
            (.create, "os.open(p('new'), os.O_CREAT | os.O_WRONLY)"),
            (.makeDirectory, "os.mkdir(p('new'))"),
            (.makeFile, "os.mknod(p('new'))"),
            (.makeSymbolicLink, "os.symlink('target', p('new'))"),
        ]
        for (operation, script) in makers {
            try kill(mount, fileSystem, during: operation, script, between: missing)
            let inode = try #require(fileSystem.inode("new"))
            #expect(
                eventually { fileSystem.state.withLock { $0.nodes[inode]?.lookups } == 0 },
                "\(operation)")
            #expect(eventually { fileSystem.state.withLock { $0.handles.isEmpty } })
            // For a minute the kernel could believe that the name is missing.
            #expect(looks(mount, "os.path.lexists(p('new'))"), "\(operation)")
            #expect(looks(mount, "os.listdir(root) == ['new']"), "\(operation)")
            SystemCalls.run(
                mount,
                "os.rmdir(p('new')) if os.path.isdir(p('new')) else os.unlink(p('new'))")
            #expect(
                eventually { fileSystem.state.withLock { $0.nodes[inode] == nil } }, "\(operation)")
        }
    }

    @Test func aLateRemovalOrRenameIsSeen() throws {
        let fileSystem = StoringFileSystem()
        let mount = try LiveMount(fileSystem, readOnly: false)
        defer { mount.end() }
        SystemCalls.run(mount, "put('a', b'A'); put('b', b'B'); os.mkdir(p('d'))")
        let there = "assert get('a') == b'A' and sorted(os.listdir(root)) == ['a', 'b', 'd']"
        try kill(
            mount, fileSystem, during: .rename, "os.rename(p('a'), p('b'))",
            between: there + "; assert get('b') == b'B'")
        #expect(looks(mount, "not os.path.exists(p('a')) and get('b') == b'A'"))
        #expect(looks(mount, "sorted(os.listdir(root)) == ['b', 'd']"))
        try kill(
            mount, fileSystem, during: .unlink, "os.unlink(p('b'))",
            between: "assert os.path.exists(p('b'))")
        #expect(looks(mount, "not os.path.exists(p('b'))"))
        try kill(
            mount, fileSystem, during: .removeDirectory, "os.rmdir(p('d'))",
            between: "assert os.path.isdir(p('d'))")
        #expect(looks(mount, "not os.path.exists(p('d')) and os.listdir(root) == []"))
    }

    @Test func lateBytesAndAttributesAreSeen() throws {
        let fileSystem = StoringFileSystem()
        fileSystem.add("file", Array(repeating: 0x61, count: 20_000))
        fileSystem.add("other", Array(repeating: 0x6F, count: 20_000))
        let mount = try LiveMount(fileSystem, readOnly: false)
        defer { mount.end() }
        let old = "assert get('file') == b'a' * 20000 and os.stat(p('file')).st_size == 20000"
        SystemCalls.run(mount, old)
        try kill(
            mount, fileSystem, during: .write,
            "fd = os.open(p('file'), os.O_WRONLY); os.pwrite(fd, b'W' * 5000, 18000)", between: old)
        #expect(looks(mount, "get('file') == b'a' * 18000 + b'W' * 5000"))
        #expect(fileSystem.count(.write) == 1)

        try kill(
            mount, fileSystem, during: .setAttributes, "os.truncate(p('file'), 18000)",
            between: "assert os.stat(p('file')).st_size == 23000")
        #expect(looks(mount, "os.stat(p('file')).st_size == 18000 and len(get('file')) == 18000"))

        try kill(
            mount, fileSystem, during: .setAttributes, "os.chmod(p('file'), 0o604)",
            between: "assert stat.S_IMODE(os.stat(p('file')).st_mode) == 0o644")
        #expect(looks(mount, "stat.S_IMODE(os.stat(p('file')).st_mode) == 0o604"))

        let before = "assert get('file') == b'a' * 18000"
        try kill(
            mount, fileSystem, during: .allocate,
            "fd = os.open(p('file'), os.O_WRONLY); fallocate(fd, 3, 0, 5000)",
            between: before)
        #expect(looks(mount, "get('file') == bytes(5000) + b'a' * 13000"))

        let zeros = "assert get('file') == bytes(5000) + b'a' * 13000"
        try kill(
            mount, fileSystem, during: .copyRange,
            "s = os.open(p('other'), os.O_RDONLY); t = os.open(p('file'), os.O_WRONLY); os.copy_file_range(s, t, 5000)",
            between: zeros)
        #expect(looks(mount, "get('file') == b'o' * 5000 + b'a' * 13000"))

        try kill(
            mount, fileSystem, during: .open, "os.open(p('file'), os.O_WRONLY | os.O_TRUNC)",
            between: "assert get('file') == b'o' * 5000 + b'a' * 13000")
        #expect(looks(mount, "get('file') == b'' and os.stat(p('file')).st_size == 0"))
        #expect(eventually { fileSystem.state.withLock { $0.handles.isEmpty } })
    }

    /// A handled signal (SIGALRM, SIGWINCH) ends no change: the caller never sees EINTR.
    @Test func handledSignalsDisturbNoChange() throws {
        let fileSystem = StoringFileSystem()
        let mount = try LiveMount(fileSystem, readOnly: false)
        defer { mount.end() }
        let script = """
            seen = [0]
            def handler(number, frame): seen[0] += 1
            signal.signal(signal.SIGALRM, handler)
            signal.siginterrupt(signal.SIGALRM, True)
            signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
            path = p('file').encode()
            fd = raw(c.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
            assert raw(c.write(fd, b'bytes', ctypes.c_size_t(5))) == 5
            raw(c.fsync(fd))
            raw(c.rename(path, p('other').encode()))
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert seen[0] >= len(['open', 'write', 'fsync'])
            """
        let steps: [StoringFileSystem.Operation] = [.create, .write, .synchronize, .rename]
        fileSystem.state.withLock { $0.parking = Set(steps) }
        let child = try SystemCalls.start(mount, script)
        for step in steps {
            #expect(eventually { fileSystem.parkedCount == 1 && fileSystem.count(step) == 1 })
            usleep(200_000)
            let works = fileSystem.state.withLock { state in
                defer { state.parked = [] }
                return state.parked
            }
            for work in works { work() }
        }
        let output = child.wait()
        #expect(output.text == "done\n", "\(output.err)")
        #expect(fileSystem.bytes("other") == Array("bytes".utf8))
    }
}
