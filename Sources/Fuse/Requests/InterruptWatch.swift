// Ends the waits of threads that are dying, and only theirs.
//
// The kernel says that a waiting thread got a signal, not which, and says it once a request. Programs
// do not expect EINTR from files (SIGALRM, SIGCHLD, SIGWINCH, Go's SIGURG), so the wait goes on, as on
// a local disk, unless the signal ends the process. A signal that does may come after one that does
// not: a marked request is looked at again and again until it is answered.
//
// The thread sleeps unless something is marked. Locks: one leaf mutex, never held while a request is
// answered or /proc is read; taken under libfuse's request lock.

internal import Glibc
internal import Operations
internal import Synchronization

/// The requests whose threads got a signal, and the thread that looks after them.
final class InterruptWatch: Sendable {
    private struct Marked {
        var request: Request
        var thread: pid_t
    }
    private struct State {
        var marked: [Marked] = []
        var isStopping = false
    }

    /// Between two looks: short for whoever presses Ctrl-C, long for the processor.
    private static let interval = Duration.milliseconds(50)
    /// Looking takes one part of this many of the time at most, however many are marked.
    private static let share = 20

    private let state = Mutex(State())
    private let wake = Semaphore()

    /// Starts the thread; it ends after `stop`.
    func start() throws(FuseError) {
        try ServiceThread.start(name: "pail-interrupt") { [self] in loop() }
    }

    /// Marks a request whose thread got a signal. Called under the request's lock: only remembers.
    func mark(_ request: Request, thread: pid_t) {
        let isFirst = state.withLock { state in
            guard !state.isStopping else { return false }
            state.marked.append(Marked(request: request, thread: thread))
            return state.marked.count == 1
        }
        if isFirst { wake.signal() }
    }

    /// Lets the marked requests go, unanswered. Call more than once at will.
    func stop() {
        let dropped = state.withLock { state in
            state.isStopping = true
            defer { state.marked = [] }
            return state.marked
        }
        wake.signal()
        withExtendedLifetime(dropped) {}
    }

    private func loop() {
        let clock = ContinuousClock()
        while true {
            wake.wait()
            var pause = Duration.zero
            repeat {
                // Woken early by `stop`, and by a mark after all others were let go.
                if pause > .zero { _ = wake.wait(for: pause) }
                let start = clock.now
                look()
                pause = max(Self.interval, (clock.now - start) * Self.share)
            } while state.withLock { !$0.marked.isEmpty }
            if state.withLock({ $0.isStopping }) { return }
        }
    }

    /// Answers EINTR to the dying, and forgets what is answered.
    private func look() {
        let marked = state.withLock { $0.marked }
        for one in marked where !one.request.isAnswered && ThreadSignals.isDying(one.thread) {
            one.request.endWait()
        }
        let dropped = state.withLock { state in
            let answered = state.marked.filter { $0.request.isAnswered }
            state.marked.removeAll { $0.request.isAnswered }
            return answered
        }
        // The last reference of a request may let go of a whole session: not under the lock.
        withExtendedLifetime(dropped) {}
    }
}

/// The signals of a thread as `/proc/TID/status` shows them. Source: proc_pid_status(5), signal(7)
struct ThreadSignals: Equatable {
    /// Bit N-1 is signal N.
    var pending: UInt64 = 0
    var blocked: UInt64 = 0
    var ignored: UInt64 = 0
    var caught: UInt64 = 0

    /// SIGKILL. The kernel makes it pending for every thread of a process that is about to end: by
    /// another fatal signal, by exit_group(2), by an execve(2) elsewhere.
    private static let kill: UInt64 = 1 << 8

    /// Signals that end a process when it says nothing about them. Those that dump core (SIGQUIT,
    /// SIGABRT, ...) are not turned into SIGKILL before a thread takes them; nor is any in a process
    /// that is traced. 1...15 without SIGKILL; SIGSTKFLT, SIGXCPU...SIGPROF, SIGIO...SIGSYS; all
    /// real-time signals. What is left out stops, continues or does nothing.
    private static let fatal: UInt64 =
        0x7EFF | 1 << 15 | 0b1111 << 23 | 0b111 << 28 | ~0 << 31

    /// Reads the lines that matter; nil when one is missing.
    init?(status: [UInt8]) {
        var seen = 0
        for line in status.split(separator: UInt8(ascii: "\n")) where line.first == 0x53 {
            let fields = line.split { $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: "\t") }
            guard fields.count == 2,
                let set = UInt64(String(decoding: fields[1], as: UTF8.self), radix: 16)
            else { continue }
            switch String(decoding: fields[0], as: UTF8.self) {
            case "SigPnd", "ShdPnd": pending |= set
            case "SigBlk": blocked = set
            case "SigIgn": ignored = set
            case "SigCgt": caught = set
            default: continue
            }
            seen += 1
        }
        guard seen == 5 else { return nil }
    }

    /// True when the thread ends as soon as it is back from the kernel.
    var isDying: Bool {
        pending & (Self.kill | Self.fatal & ~blocked & ~ignored & ~caught) != 0
    }

    /// True when the thread is dying or gone, and when nobody can know: it lives in another PID
    /// namespace (0), or /proc hides it (hidepid). Nobody may wait for ever for want of a look.
    static func isDying(_ thread: pid_t) -> Bool {
        guard thread > 0,
            let signals = ThreadSignals(status: contents(of: "/proc/\(thread)/status"))
        else { return true }
        return signals.isDying
    }
}
