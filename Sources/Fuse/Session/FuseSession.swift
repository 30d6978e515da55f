// One mount, from its options to its end.
//
// Order of a life: init, mount, run (blocks), unmount. requestExit and the notifications may come from
// any thread at any time, also before and after; they never block.
//
// The end: the loop stops taking requests; parked ones get a moment to be answered; notifications
// stop; the mount is detached and aborted, so nobody is left waiting in the kernel; then the device is
// let go. Locks: one leaf mutex for the state, never held during a call of libfuse.

internal import CFuse
internal import Glibc
public import Logging
public import Operations
internal import Synchronization

/// A FUSE session that serves one `FileOperations`.
public final class FuseSession: KernelNotifier {
    /// Why `run` came back.
    public enum ExitReason: Sendable, Equatable {
        /// `requestExit` was called.
        case requested
        /// Somebody unmounted it (umount(8), fusermount3) or aborted the connection.
        case unmounted
        /// The device failed.
        case failed(Errno)
    }

    private enum Phase { case made, mounted, running, ended, unmounted }
    private struct State {
        var phase = Phase.made
        var exitRequested = false
        /// `MAJOR:MINOR` of the mount.
        var device: String?
        /// Who runs the loop; alive while `running`.
        var loop: pthread_t?
    }

    public let options: MountOptions
    private let logger: Logger
    private let core: SessionCore
    private let session: SessionHandle
    private let state = Mutex(State())

    /// Makes the session; nothing is mounted yet. Takes libfuse's messages into `logger`.
    public init(options: MountOptions, logger: Logger) throws(FuseError) {
        self.options = options
        self.logger = logger
        core = SessionCore(logger: logger)
        LibraryLog.install(logger)
        _ = LibraryLog.takeLast()
        var arguments = unsafe fuse_args()
        defer { unsafe fuse_opt_free_args(&arguments) }
        for argument in options.arguments { unsafe fuse_opt_add_arg(&arguments, argument) }
        var callbacks = makeCallbacks()
        guard
            let raw = unsafe fuse_session_new(
                &arguments, &callbacks, MemoryLayout<fuse_lowlevel_ops>.size,
                Unmanaged.passUnretained(core).toOpaque())
        else { throw .badOptions(LibraryLog.takeLast()) }
        session = unsafe SessionHandle(raw)
        core.session = session
    }

    deinit { unmount() }

    /// Mounts. Whoever touches the mountpoint from now on waits until `run` serves.
    public func mount() throws(FuseError) {
        let isFirst = state.withLock { $0.phase == .made }
        guard isFirst else { throw .misuse("mount was called twice") }
        _ = LibraryLog.takeLast()
        errno = 0
        guard unsafe fuse_session_mount(session.raw, options.mountpoint) == 0 else {
            let number = errno == 0 ? EIO : errno
            throw .mountFailed(
                mountpoint: options.mountpoint, Errno(rawValue: number), LibraryLog.takeLast())
        }
        if !Handshake.install(session) { logger.debug("libfuse takes no functions for its device") }
        let device = MountTable.current().entry(at: options.mountpoint)?.device
        state.withLock { state in
            state.phase = .mounted
            state.device = device
        }
    }

    /// Serves until the end. Blocks the calling thread; call it from one of your own, not a Task.
    ///
    /// - Parameters:
    ///   - operations: held until `unmount`.
    ///   - whenServing: called once, on a worker thread, when the kernel has said INIT: the mount
    ///     answers. Must not block.
    public func run(
        _ operations: any FileOperations, whenServing: @escaping @Sendable () -> Void = {}
    ) throws(FuseError) -> ExitReason {
        let (mayRun, device) = state.withLock { state in
            guard state.phase == .mounted else { return (false, String?.none) }
            state.phase = .running
            state.loop = pthread_self()
            return (true, state.device)
        }
        guard mayRun else { throw .misuse("run needs a mounted session, once") }
        core.operations = operations
        core.whenGreeted = whenServing
        let readAhead = options.readAheadKiB
        if let device {
            core.whenServing = { Readahead.raise(device: device, kibibytes: readAhead) }
        }
        try core.notifier.start(session)
        try core.interrupts.start()

        pail_wake_prepare()
        let config = unsafe fuse_loop_cfg_create()
        defer { unsafe fuse_loop_cfg_destroy(config) }
        let threads = UInt32(max(options.maxThreads, 2))
        unsafe fuse_loop_cfg_set_max_threads(config, threads)
        // Equal, so that threads are not made and ended all the time.
        unsafe fuse_loop_cfg_set_idle_threads(config, threads)
        unsafe fuse_loop_cfg_set_clone_fd(config, 0)
        // A request to exit that came before the loop is not lost: the flag is set already.
        let result = unsafe fuse_session_loop_mt(session.raw, config)

        let wasRequested = state.withLock { state in
            state.phase = .ended
            state.loop = nil
            return state.exitRequested
        }
        // The loop cleared the flag; set, libfuse does not write about late answers to stderr.
        unsafe fuse_session_exit(session.raw)
        if wasRequested { return .requested }
        return result < 0 ? .failed(Errno(rawValue: -result)) : .unmounted
    }

    /// Ends `run` soon. Thread-safe, never blocks; not for signal handlers.
    public func requestExit() {
        let isRunning = state.withLock { state in
            state.exitRequested = true
            return state.phase == .running
        }
        unsafe fuse_session_exit(session.raw)
        guard isRunning else { return }
        do {
            try ServiceThread.start(name: "pail-exit") { [self] in while wakeLoop() { usleep(2000) }
            }
        } catch {
            _ = wakeLoop()
        }
    }

    /// libfuse's loop sleeps on a semaphore and looks at its exit flag when a signal interrupts that.
    /// The signal may come just before the sleep, so it is sent until the loop has ended.
    private func wakeLoop() -> Bool {
        state.withLock { state in
            guard let loop = state.loop else { return false }
            pail_wake(loop)
            return true
        }
    }

    /// Takes the mount away, also when files are open in it (their users get ENOTCONN or
    /// ECONNABORTED), and lets everything go. Call after `run`; more than once at will.
    ///
    /// - Parameter drain: how long parked requests may take to be answered first.
    public func unmount(drain: Duration = .seconds(1)) {
        let (before, device) = state.withLock { state in
            let before = state.phase
            if before != .running { state.phase = .unmounted }
            return (before, state.device)
        }
        guard before == .mounted || before == .ended else { return }
        let clock = ContinuousClock()
        let deadline = clock.now + drain
        while core.parked.load(ordering: .relaxed) > 0, clock.now < deadline { usleep(2000) }
        core.interrupts.stop()
        let stoppedInTime = core.notifier.stop(within: .milliseconds(500))
        // Only our own mount, never one that was put over it since.
        if let device, MountTable.current().entry(at: options.mountpoint)?.device == device {
            do {
                try Unmount.detach(options.mountpoint)
            } catch {
                logger.warning("\(error)")
            }
        }
        // A notification that waits in the kernel for a page came back with the abort just made; if
        // not, its descriptor must stay, or the answer it waits for could never arrive.
        guard stoppedInTime || core.notifier.stop(within: .seconds(5)) else {
            logger.warning("a notification still waits in the kernel; the device stays open")
            return
        }
        session.detachDevice()
        core.operations = nil
        core.whenServing = nil
        core.whenGreeted = nil
    }

    public func invalidateInode(_ inode: InodeNumber, offset: Int64, length: Int64) {
        core.notifier.invalidate(inode, offset: offset, length: length)
    }

    public func invalidateEntry(parent: InodeNumber, name: [UInt8]) {
        core.notifier.invalidate(parent: parent, name: name)
    }
}
