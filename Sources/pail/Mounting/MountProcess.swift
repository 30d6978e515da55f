// The process of one mount, from the first check to the last thread.
//
// The order matters: what is quick to say comes first (the mountpoint), what asks the network next,
// the mount last, so that nothing wrong ever leaves a mount behind. Signals are blocked before the
// first thread starts.

import BlockStore
import Control
import FileSystem
import Fuse
import Glibc
import Logging

/// Mounts, serves, unmounts.
struct MountProcess {
    private let configuration: MountConfiguration
    private let surroundings: Surroundings
    private let starter: Starter

    init(
        _ configuration: MountConfiguration, _ surroundings: Surroundings, _ starter: Starter
    ) {
        self.configuration = configuration
        self.surroundings = surroundings
        self.starter = starter
    }

    /// Returns when the mount has ended as it should. A failure of a background process goes to
    /// the waiting one, and this one ends.
    func run() throws(CommandFailure) {
        do {
            try serve()
        } catch {
            if starter.fail(error) { exit(error.status.rawValue) }
            throw error
        }
    }

    private func serve() throws(CommandFailure) {
        Signals.block()
        Secrecy.keepOutOfCoreDumps()
        let logger = try LogSetup.start(
            configuration, isBackground: starter.isBackground, surroundings: surroundings)
        let mountpoint = try checkedMountpoint()
        // Not to hold on to the directory we were started in.
        unsafe chdir("/")
        let rooms = try Rooms(configuration, surroundings, logger)
        for line in rooms.proof.warnings { warn(line, logger) }
        let client = try rooms.makeClient()
        let changes = try WritingSetup.prepare(
            configuration, client, logger: logger, warn: { warn($0, logger) })
        let session = try makeSession(mountpoint, isReadOnly: changes == nil, logger)
        let parts = rooms.makeFileSystem(
            client, changes: changes, notifier: session, warn: { warn($0, logger) })
        let fileSystem = parts.fileSystem
        do {
            try session.mount()
        } catch {
            throw CommandFailure(Escaping.line(error.description), .system)
        }
        recover(fileSystem)
        let control = ControlService.start(
            fileSystem, configuration, mountpoint, surroundings, logger)
        handleSignals(session, mountpoint, logger)
        let reason = Result { () throws(FuseError) in
            try session.run(fileSystem, whenServing: { serving(session, mountpoint, logger) })
        }
        notify("STOPPING=1")
        flush(fileSystem, logger)
        control?.stop()
        Watchdog.start(logger)
        session.unmount()
        fileSystem.shutdown()
        parts.attributes?.write()
        parts.blocks?.close()
        rooms.close()
        parts.staging?.close()
        try finish(reason, mountpoint, logger)
    }

    private func checkedMountpoint() throws(CommandFailure) -> String {
        do {
            return try Mountpoint.check(
                configuration.mountpoint, allowNonEmpty: configuration.allowsNonEmpty,
                allowOther: configuration.allowsOthers)
        } catch {
            throw CommandFailure(error)
        }
    }

    private func makeSession(
        _ mountpoint: String, isReadOnly: Bool, _ logger: Logger
    ) throws(CommandFailure) -> FuseSession {
        do {
            return try FuseSession(
                options: MountOptions(
                    mountpoint: mountpoint, source: configuration.source.description,
                    readOnly: isReadOnly, allowOther: configuration.allowsOthers),
                logger: logger)
        } catch {
            throw CommandFailure(Escaping.line(error.description), .system)
        }
    }

    /// The kernel has shaken hands: the mount answers.
    private func serving(_ session: FuseSession, _ mountpoint: String, _ logger: Logger) {
        logger.info("\(configuration.source) is mounted on \(mountpoint)")
        notify("READY=1", "STATUS=\(configuration.source) on \(mountpoint)")
        if !starter.ready() {
            logger.notice("whoever started the mount is gone; unmounting")
            session.requestExit()
        }
    }

    private func handleSignals(_ session: FuseSession, _ mountpoint: String, _ logger: Logger) {
        Signals.handle { signal, before in
            if before == 0 {
                logger.info("\(Signals.name(signal)): unmounting \(mountpoint)")
                session.requestExit()
            } else {
                logger.warning("\(Signals.name(signal)) again: leaving at once")
                try? Mountpoint.unmount(mountpoint, lazy: true)
                _exit(ExitStatus.temporary.rawValue)
            }
        }
    }

    /// Publishes what an earlier life of the mount has promised, before anybody looks.
    private func recover(_ fileSystem: FileSystem) {
        let answer = Waiter<Void>()
        fileSystem.recover { answer.answer(()) }
        answer.wait()
    }

    /// Publishes what is not in the bucket yet, as long as that may take; the rest stays staged and
    /// journalled, and is said.
    private func flush(_ fileSystem: FileSystem, _ logger: Logger) {
        let line = ProgressLine(isQuiet: starter.isBackground)
        let flush = Flush(fileSystem)
        let isDone = flush.wait(
            limit: configuration.flushTimeout, isWanted: { true },
            progress: { files, bytes in line.show(files: files, bytes: bytes) })
        line.end()
        for problem in flush.problems { logger.error("not in the bucket: \(problem)") }
        for problem in fileSystem.keepPending() { logger.error("not safe: \(problem)") }
        let left = fileSystem.pendingAmount
        guard left.files > 0 || !isDone else { return }
        logger.warning(
            """
            \(left.files) files (\(ByteSize.approximate(left.bytes)) to send) are not in the bucket; they \
            stay in \(configuration.stagingDirectory ?? "the staging area") for the next mount
            """)
    }

    private func finish(
        _ reason: Result<FuseSession.ExitReason, FuseError>, _ mountpoint: String,
        _ logger: Logger
    ) throws(CommandFailure) {
        let words: String
        switch reason {
        case .success(.failed(let errno)):
            words = "the FUSE device failed on \(mountpoint): \(errno)"
        case .failure(let error): words = error.description
        case .success:
            logger.info("\(mountpoint) is unmounted")
            return
        }
        logger.error("\(words)")
        throw CommandFailure(Escaping.line(words), .inputOutput)
    }

    private func warn(_ line: String, _ logger: Logger) {
        if starter.isBackground { starter.warn(line) }
        logger.warning("\(line)")
    }

    private func notify(_ lines: String...) {
        guard !starter.isBackground else { return }
        ServiceManager.notify(lines, address: surroundings.variable("NOTIFY_SOCKET"))
    }
}

/// Ends a process that does not end by itself.
enum Watchdog {
    /// Whole seconds.
    private static let patience: UInt32 = 10

    /// Starts counting; call when the process is about to end.
    static func start(_ logger: Logger) {
        DetachedThread.start(name: "pail-watchdog") {
            sleep(patience)
            logger.error("not everything ended within \(patience) s; leaving")
            _exit(ExitStatus.software.rawValue)
        }
    }
}
