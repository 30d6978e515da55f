// What a mount answers on its control socket: from requests to the file system's words and back.

import Control
import FileSystem
import Glibc
import Logging

/// The control socket of a mount.
enum ControlService {
    /// Files in one answer to `pending`.
    private static let page = 500

    /// Starts answering; nil when there can be no socket, which is said and no reason not to mount.
    static func start(
        _ fileSystem: FileSystem, _ configuration: MountConfiguration, _ mountpoint: String,
        _ surroundings: Surroundings, _ logger: Logger
    ) -> ControlServer? {
        let uid = geteuid()
        let directories = MountConfiguration.controlDirectories(surroundings, of: uid)
        let limit = configuration.flushTimeout
        var problem = "neither XDG_RUNTIME_DIR nor HOME is set"
        for directory in directories {
            do throws(ControlError) {
                let folder = try ControlFolder(directory, owner: uid, makes: true)
                let server = try ControlServer(in: folder, mountpoint: mountpoint) {
                    request, reply in answer(request, reply, fileSystem, limit)
                }
                DetachedThread.start(name: "pail-control") { server.run() }
                return server
            } catch {
                problem = error.description
            }
        }
        logger.warning("no control socket, so no 'pail flush' and 'pail pending': \(problem)")
        return nil
    }

    private static func answer(
        _ request: ControlRequest, _ reply: ControlReply, _ fileSystem: FileSystem,
        _ limit: Duration
    ) {
        switch request.command {
        case "flush":
            let seconds = request.timeout.map { min(max($0, 0), 1e9) }
            // It waits: not on the socket's thread.
            DetachedThread.start(name: "pail-flush") {
                flush(reply, fileSystem, seconds.map { .seconds($0) } ?? limit)
            }
        case "pending": list(request, reply, fileSystem)
        case "retry": act(.retry, request, reply, fileSystem)
        case "discard": act(.discard, request, reply, fileSystem)
        case "save":
            guard let directory = request.directory, directory.hasPrefix("/") else {
                return reply.send(
                    ControlAnswer(.failed, problems: ["save needs an absolute directory"]))
            }
            act(.save(directory: directory), request, reply, fileSystem)
        default:
            reply.send(ControlAnswer(.failed, problems: ["the daemon does not know this command"]))
        }
    }

    private static func flush(_ reply: ControlReply, _ fileSystem: FileSystem, _ limit: Duration) {
        let flush = Flush(fileSystem)
        let isOver = flush.wait(
            limit: limit, isWanted: { reply.isListening },
            progress: { files, bytes in
                var answer = ControlAnswer(.progress)
                answer.filesLeft = files
                answer.bytesLeft = bytes
                reply.send(answer)
            })
        let left = fileSystem.pendingAmount
        // Problems can be many and alike.
        var problems = Array(flush.problems.prefix(20))
        if !isOver { problems.append("the time limit was reached") }
        var answer = ControlAnswer(
            problems.isEmpty ? .done : .failed, problems: problems.isEmpty ? nil : problems)
        answer.filesLeft = left.files
        answer.bytesLeft = left.bytes
        reply.send(answer)
    }

    private static func list(
        _ request: ControlRequest, _ reply: ControlReply, _ fileSystem: FileSystem
    ) {
        let files = fileSystem.pendingFiles.dropFirst(max(request.skip ?? 0, 0))
        var answer = ControlAnswer(.done)
        answer.files = files.prefix(page).map { file in
            ControlFile(
                id: file.id, path: file.path, size: file.size, state: file.state.rawValue,
                problem: file.problem, since: file.since.map { Double($0) / 1e9 })
        }
        answer.hasMore = files.count > page
        reply.send(answer)
    }

    private static func act(
        _ action: PendingAction, _ request: ControlRequest, _ reply: ControlReply,
        _ fileSystem: FileSystem
    ) {
        guard let file = request.file else {
            return reply.send(ControlAnswer(.failed, problems: ["no file is named"]))
        }
        fileSystem.act(action, on: file.id, path: file.path) { problem in
            reply.send(
                problem.map { ControlAnswer(.failed, problems: [$0]) } ?? ControlAnswer(.done))
        }
    }
}
