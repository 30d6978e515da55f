// From a directory on the command line to the daemon that serves it.

import Control
import Fuse
import Glibc

/// The daemon of one mount, to be asked.
struct ControlCall {
    /// As the mount table has it.
    let mountpoint: String
    private let owner: UInt32
    private let directories: [String]

    /// Finds the mount; touches it as little as that allows, for it may hang.
    init(_ path: String) throws(CommandFailure) {
        let surroundings = Surroundings.current()
        let table = MountTable.current()
        let written = Self.normalized(surroundings.absolute(path))
        var found = table.entry(at: written)
        var resolved = written
        if found == nil, let real = unsafe realpath(written, nil) {
            unsafe resolved = String(cString: real)
            unsafe free(real)
            found = table.entry(at: resolved)
        }
        let shown = Escaping.line(written)
        guard let entry = found, entry.isPail else {
            let isThere = unsafe access(resolved, F_OK) == 0 || errno != ENOENT
            throw CommandFailure(
                isThere ? "\(shown) is not a pail mount" : "\(shown) does not exist", .noInput)
        }
        mountpoint = resolved
        owner = entry.owner ?? surroundings.uid
        guard owner == surroundings.uid || surroundings.uid == 0 else {
            throw CommandFailure(
                "\(shown) was mounted by another user; ask as that user or as root", .noPermission)
        }
        directories = MountConfiguration.controlDirectories(surroundings, of: owner)
    }

    /// Without `.`, `..`, and slashes for nothing; links are not looked at.
    static func normalized(_ path: String) -> String {
        var names: [Substring] = []
        for name in path.split(separator: "/") where name != "." {
            if name == ".." { _ = names.popLast() } else { names.append(name) }
        }
        return "/" + names.joined(separator: "/")
    }

    /// Asks, and gives the last answer.
    ///
    /// - Parameter patience: how long to wait for each answer, in seconds.
    func ask(
        _ request: ControlRequest, patience: Int = 60,
        progress: (ControlAnswer) -> Void = { _ in }
    ) throws(CommandFailure) -> ControlAnswer {
        do throws(ControlError) {
            var client = try ControlClient(
                directories: directories, mountpoint: mountpoint, owner: owner, patience: patience)
            try client.send(request)
            while true {
                let answer = try client.next()
                if answer.kind != .progress { return answer }
                progress(answer)
            }
        } catch {
            throw CommandFailure(
                Escaping.line(error.description),
                error.kind == .notPermitted ? .noPermission : .unavailable)
        }
    }

    func request(_ command: String) -> ControlRequest {
        ControlRequest(mountpoint: mountpoint, command: command)
    }

    /// Waits until everything is in the bucket; progress shows on a terminal.
    ///
    /// - Parameter timeout: nil: as the mount was told.
    func flush(timeout: Duration?) throws(CommandFailure) -> ControlAnswer {
        var request = request("flush")
        request.timeout = timeout.map {
            Double($0.components.seconds) + Double($0.components.attoseconds) / 1e18
        }
        let line = ProgressLine()
        defer { line.end() }
        var answer = try ask(request) {
            line.show(files: $0.filesLeft ?? 0, bytes: $0.bytesLeft ?? 0)
        }
        if answer.kind == .failed, let files = answer.filesLeft, files > 0 {
            let count = files == 1 ? "1 file is" : "\(files) files are"
            answer.problems =
                (answer.problems ?? []) + [
                    "\(count) not in the bucket; see 'pail pending \(mountpoint)'"
                ]
        }
        return answer
    }
}
