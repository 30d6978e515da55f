// Signals for processes that wait: the dying go at once, all others read on as from a local disk.

import Foundation
import Testing

@testable import Fuse

@Suite(.serialized, .tags(.kernel), .timeLimit(.minutes(2)))
struct SignalTests {
    /// Runs `cat` (or what is named) with every signal at its default, whatever the tests inherited.
    private func plainChild(_ arguments: String...) throws -> Child {
        let script = """
            import os, resource, signal, sys
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            for s in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1):
                signal.signal(s, signal.SIG_DFL)
            os.execvp(sys.argv[1], sys.argv[1:])
            """
        return try Child(["python3", "-c", script] + arguments)
    }

    /// A program as Go's runtime or a profiler make them: signals all the time, none to end it. The
    /// interrupted calls must not come back with EINTR, not even once (Python would hide that).
    private static let busy = """
        import ctypes, mmap, os, signal, sys
        seen = [0]
        def handler(number, frame): seen[0] += 1
        for s in (signal.SIGALRM, signal.SIGUSR1, signal.SIGURG, signal.SIGCHLD):
            signal.signal(s, handler)
            signal.siginterrupt(s, True)
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        c = ctypes.CDLL(None, use_errno=True)
        def must(result):
            if result < 0: sys.exit('errno %d' % ctypes.get_errno())
            return result
        path = sys.argv[1].encode()
        must(c.access(path, 0))
        file = must(c.open(path, os.O_RDONLY | os.O_DIRECT))
        memory = mmap.mmap(-1, 1 << 20)
        place = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        count = must(c.read(file, ctypes.c_void_p(place), ctypes.c_size_t(1 << 20)))
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(memory[:count].hex())
        if not seen[0]: sys.exit('no signal came')
        """

    @Test func handledSignalsDisturbNothing() throws {
        let fileSystem = MemoryFileSystem()
        let bytes = pattern(100_000)
        let inode = fileSystem.add("slow", bytes)
        let mount = try LiveMount(fileSystem)
        defer { mount.end() }
        fileSystem.state.withLock { state in
            state.parkLookups = [Array("slow".utf8)]
            state.parkOpens = [inode]
            state.parkReads = [inode]
        }
        let child = try Child(["python3", "-c", Self.busy, mount.path + "/slow"])
        // Lookup, open and read wait in turn, each while 20 alarms and other signals come.
        for step in 0..<3 {
            #expect(eventually { fileSystem.parkedCount == 1 }, "step \(step)")
            for signal in [SIGUSR1, SIGURG, SIGCHLD, SIGWINCH, SIGUSR1] {
                kill(child.process.processIdentifier, signal)
                usleep(40_000)
            }
            #expect(fileSystem.parkedCount == 1, "step \(step)")
            let parked = fileSystem.state.withLock { state in
                defer { state.parked = [] }
                if step == 0 { state.parkLookups = [] }
                if step == 1 { state.parkOpens = [] }
                return state.parked
            }
            for work in parked { work() }
        }
        let output = child.wait(10)
        #expect(output.status == 0, "\(output.err)")
        #expect(output.text == bytes.map { String(format: "%02x", $0) }.joined() + "\n")
        let counters = fileSystem.counters
        #expect(counters.lookups == 1 && counters.opens == 1 && counters.reads == 1)
    }

    @Test(arguments: [SIGINT, SIGQUIT, SIGABRT, SIGTERM, SIGKILL, SIGUSR1, SIGHUP])
    func fatalSignalsEndTheWaitSoon(signal: Int32) throws {
        let fileSystem = MemoryFileSystem()
        fileSystem.add("slow", [1])
        fileSystem.state.withLock { $0.parkLookups = [Array("slow".utf8)] }
        let mount = try LiveMount(fileSystem)
        defer { mount.end() }
        let child = try plainChild("cat", mount.path + "/slow")
        #expect(eventually { fileSystem.parkedCount == 1 })
        let start = ContinuousClock().now
        kill(child.process.processIdentifier, signal)
        #expect(child.wait(5).status == signal)
        let took = ContinuousClock().now - start
        // Usually 2 ms; the machine may be busy.
        #expect(took < .seconds(1), "\(took)")
        fileSystem.unpark()
    }

    /// The kernel tells of the first signal only: the second must be found by looking.
    @Test func aFatalSignalAfterAHarmlessOne() throws {
        let fileSystem = MemoryFileSystem()
        let inode = fileSystem.add("slow", pattern(1000))
        fileSystem.state.withLock { $0.parkReads = [inode] }
        let mount = try LiveMount(fileSystem)
        defer { mount.end() }
        for fatal in [SIGINT, SIGQUIT, SIGKILL] {
            // dd takes SIGUSR1 to say how far it is.
            let child = try plainChild("dd", "if=\(mount.path)/slow", "iflag=direct", "bs=4k")
            #expect(eventually { fileSystem.parkedCount == 1 })
            kill(child.process.processIdentifier, SIGUSR1)
            usleep(150_000)
            #expect(fileSystem.parkedCount == 1 && child.process.isRunning)
            kill(child.process.processIdentifier, fatal)
            // dd takes SIGINT too, and ends when its read is back: as on a local disk.
            if fatal == SIGINT {
                usleep(150_000)
                #expect(child.process.isRunning)
                kill(child.process.processIdentifier, SIGKILL)
            }
            let status = child.wait(5).status
            #expect(status == (fatal == SIGINT ? SIGKILL : fatal))
            fileSystem.state.withLock { $0.parked = [] }
        }
        fileSystem.unpark()
    }

    /// A thread that waits goes with its process: when another thread exits, execs or is killed.
    @Test(arguments: ["os._exit(3)", "os.execvp('sh', ['sh', '-c', 'exit 3'])", "wait()"])
    func waitingThreadsGoWithTheirProcess(ending: String) throws {
        let fileSystem = MemoryFileSystem()
        fileSystem.add("slow", [1])
        fileSystem.state.withLock { $0.parkLookups = [Array("slow".utf8)] }
        let mount = try LiveMount(fileSystem)
        defer { mount.end() }
        let script = """
            import os, signal, sys, threading, time
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            def wait():
                while True: time.sleep(1)
            threading.Thread(target=os.stat, args=[sys.argv[1]]).start()
            sys.stdin.read()
            \(ending)
            """
        let gate = Pipe()
        let child = try Child(["python3", "-c", script, mount.path + "/slow"], input: gate)
        #expect(eventually { fileSystem.parkedCount == 1 })
        try gate.fileHandleForWriting.close()
        if ending == "wait()" {
            usleep(50_000)
            kill(child.process.processIdentifier, SIGINT)
        }
        #expect(child.wait(5).status == (ending == "wait()" ? SIGINT : 3))
        fileSystem.unpark()
    }

    /// Answers, signals and deaths meet at random; libfuse's memory must survive, nobody may hang, and
    /// who lives never sees EINTR.
    @Test func answersRaceWithSignals() throws {
        let fileSystem = MemoryFileSystem()
        for index in 0..<8 { fileSystem.add("file\(index)", [UInt8(index)]) }
        fileSystem.state.withLock { $0.timeout = .zero }
        let mount = try LiveMount(fileSystem)
        defer { mount.end() }
        let script = """
            import os, random, signal, subprocess, sys, time
            root = sys.argv[1]
            random.seed(int(sys.argv[2]))
            hits = [0]
            def handler(*a): hits[0] += 1
            signal.signal(signal.SIGALRM, handler)
            signal.siginterrupt(signal.SIGALRM, True)
            signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0003)
            for i in range(1500):
                if i % 50 == 0:
                    child = os.fork()
                    if child == 0:
                        signal.signal(signal.SIGTERM, signal.SIG_DFL)
                        while True: os.stat(root + '/file%d' % (i % 8))
                    time.sleep(random.random() * 0.01)
                    os.kill(child, random.choice([signal.SIGTERM, signal.SIGKILL, signal.SIGQUIT]))
                    os.waitpid(child, 0)
                os.stat(root + '/file%d' % (i % 8))
            print('good' if hits[0] else 'never interrupted')
            """
        let names = Set((0..<8).map { Array("file\($0)".utf8) })
        let children = try (0..<4).map {
            try Child(["python3", "-c", script, mount.path, "\($0)"])
        }
        let isDone = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            while isDone.wait(timeout: .now() + 0.0004) != .success {
                fileSystem.unpark()
                fileSystem.state.withLock { $0.parkLookups = names }
            }
            fileSystem.unpark()
        }
        for child in children {
            let output = child.wait(60)
            #expect(output.text == "good\n", "\(output.err)")
        }
        isDone.signal()
        #expect(run("stat", mount.path + "/file1", seconds: 5).status == 0)
    }

    private func signals(
        pending: UInt64 = 0, shared: UInt64 = 0, blocked: UInt64 = 0, ignored: UInt64 = 0,
        caught: UInt64 = 0
    ) -> ThreadSignals? {
        let lines = zip(
            ["SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"],
            [pending, shared, blocked, ignored, caught]
        ).map { "\($0):\t" + String(format: "%016lx", $1) }
        let text = "Name:\tSigPnd\nSigQ:\t0/1\n" + lines.joined(separator: "\n") + "\nCpus:\t1\n"
        return ThreadSignals(status: Array(text.utf8))
    }

    @Test func readsSignalsOfAThread() {
        func bit(_ signal: Int32) -> UInt64 { 1 << UInt64(signal - 1) }
        #expect(signals()?.isDying == false)
        #expect(signals(pending: bit(SIGKILL), blocked: .max, caught: .max)?.isDying == true)
        for signal in [
            SIGQUIT, SIGABRT, SIGSEGV, SIGXCPU, SIGSYS, SIGHUP, SIGALRM, SIGPROF, 40, 64,
        ] {
            #expect(signals(pending: bit(signal))?.isDying == true, "\(signal)")
            #expect(signals(shared: bit(signal))?.isDying == true, "\(signal)")
            #expect(signals(shared: bit(signal), blocked: bit(signal))?.isDying == false)
            #expect(signals(shared: bit(signal), ignored: bit(signal))?.isDying == false)
            #expect(signals(shared: bit(signal), caught: bit(signal))?.isDying == false)
        }
        for signal in [SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH] {
            #expect(signals(shared: bit(signal))?.isDying == false, "\(signal)")
        }
        #expect(ThreadSignals(status: []) == nil)
        #expect(!ThreadSignals.isDying(getpid()))
        #expect(ThreadSignals.isDying(0))
        #expect(ThreadSignals.isDying(.max))
    }
}
