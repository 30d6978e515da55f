import Foundation
import Glibc
import Synchronization
import Testing

@testable import Control

/// A server with a directory of its own, and a thread that runs it.
private final class Daemon {
    let directory: String
    let mountpoint = "/mnt/a b"
    let server: ControlServer
    private let end = DispatchSemaphore(value: 0)

    init(
        limits: ControlServer.Limits = .init(), handler: @escaping ControlServer.Handler
    ) throws {
        var template = Array("/tmp/pail-control.XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        directory = String(
            decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let folder = try ControlFolder(directory, owner: geteuid(), makes: false)
        server = try ControlServer(
            in: folder, mountpoint: mountpoint, limits: limits, handler: handler)
        Thread.detachNewThread { [server, end] in
            server.run()
            end.signal()
        }
    }

    deinit {
        server.stop()
        end.wait()
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// A connection without manners.
    func rawConnection() throws -> Int32 {
        let folder = try ControlFolder(directory, owner: geteuid(), makes: false)
        return try folder.connect(mountpoint)
    }

    func ask(_ command: String) throws -> [ControlAnswer] {
        var client = try ControlClient(
            directories: [directory + "/none", directory], mountpoint: mountpoint,
            owner: geteuid())
        try client.send(ControlRequest(mountpoint: mountpoint, command: command))
        var answers = [try client.next()]
        while answers.last?.kind == .progress { answers.append(try client.next()) }
        return answers
    }

    var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [] }
}

/// All that comes until the other side closes; nil when it does not within 20 s.
private func readToEnd(_ socket: Int32) -> String? {
    var limit = timeval(tv_sec: 20, tv_usec: 0)
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var all: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = read(socket, &chunk, chunk.count)
        if count < 0, errno == EAGAIN { return nil }
        guard count > 0 else { return String(decoding: all, as: UTF8.self) }
        all += chunk[..<count]
    }
}

private func write(_ text: String, to socket: Int32) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes {
            send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        guard count > 0 else { return }
        rest.removeFirst(count)
    }
}

private let echo: ControlServer.Handler = { request, reply in
    reply.send(ControlAnswer(.done, problems: [request.command]))
}

@Suite struct ControlTests {
    @Test func aRequestIsAnswered() throws {
        let daemon = try Daemon(handler: echo)
        #expect(try daemon.ask("pending") == [ControlAnswer(.done, problems: ["pending"])])
        #expect(try daemon.ask("a\nb\u{1B}").last?.problems == ["a\nb\u{1B}"])
    }

    @Test func answersComeFromOtherThreadsAndMayBeLarge() throws {
        let daemon = try Daemon { _, reply in
            Thread.detachNewThread {
                reply.send(ControlAnswer(.progress))
                var answer = ControlAnswer(.done)
                answer.files = (0..<500).map {
                    ControlFile(
                        id: "i\($0)", path: [UInt8](repeating: 0xFF, count: 1024), size: 1,
                        state: "failed", problem: String(repeating: "x", count: 500), since: 1)
                }
                reply.send(answer)
                reply.send(ControlAnswer(.failed))
            }
        }
        let answers = try daemon.ask("pending")
        #expect(answers.last?.kind == .done && answers.last?.files?.count == 500)
    }

    @Test func theSocketIsPrivateAndGoes() throws {
        let daemon = try Daemon(handler: echo)
        #expect(daemon.names == [ControlFolder.name(daemon.mountpoint)])
        var status = stat()
        #expect(lstat("\(daemon.directory)/\(daemon.names[0])", &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600 && status.st_mode & S_IFMT == S_IFSOCK)
        daemon.server.stop()
        #expect(daemon.names == [])
        #expect(throws: ControlError(.absent, "no daemon listens for /mnt/a b")) {
            try daemon.ask("pending")
        }
    }

    @Test func aLaterDaemonTakesThePlace() throws {
        let daemon = try Daemon(handler: echo)
        let folder = try ControlFolder(daemon.directory, owner: geteuid(), makes: false)
        let later = try ControlServer(in: folder, mountpoint: daemon.mountpoint) { _, reply in
            reply.send(ControlAnswer(.done, problems: ["later"]))
        }
        daemon.server.stop()
        Thread.detachNewThread { later.run() }
        #expect(try daemon.ask("x").last?.problems == ["later"])
        later.stop()
        #expect(daemon.names == [])
    }

    @Test func socketsOfTheDeadAreRemoved() throws {
        let daemon = try Daemon(handler: echo)
        let folder = try ControlFolder(daemon.directory, owner: geteuid(), makes: false)
        // As a killed daemon leaves it: bound, and nobody listens.
        close(try folder.listen("/mnt/dead"))
        #expect(
            FileManager.default.createFile(
                atPath: daemon.directory + "/new-file", contents: nil))
        #expect(daemon.names.contains(ControlFolder.name("/mnt/dead")))
        #expect(throws: ControlError(.absent, "the daemon of /mnt/dead is gone")) {
            close(try folder.connect("/mnt/dead"))
        }
        let other = try ControlServer(in: folder, mountpoint: "/mnt/other", handler: echo)
        #expect(!daemon.names.contains(ControlFolder.name("/mnt/dead")))
        // Neither a living daemon's nor what is no socket.
        #expect(daemon.names.contains(ControlFolder.name(daemon.mountpoint)))
        #expect(daemon.names.contains("new-file"))
        other.stop()
        #expect(try daemon.ask("x").last?.kind == .done)
    }

    @Test func directoriesMustBePrivate() throws {
        let daemon = try Daemon(handler: echo)
        chmod(daemon.directory, 0o755)
        #expect(throws: ControlError.self) { try daemon.ask("x") }
        chmod(daemon.directory, 0o700)
        let link = daemon.directory + "-link"
        symlink(daemon.directory, link)
        defer { unlink(link) }
        #expect(throws: ControlError.self) {
            try ControlFolder(link, owner: geteuid(), makes: false)
        }
        #expect(throws: ControlError.self) {
            try ControlFolder(daemon.directory, owner: geteuid() + 1, makes: false)
        }
        let deep = daemon.directory + "/x/y/z"
        _ = try ControlFolder(deep, owner: geteuid(), makes: true)
        var status = stat()
        #expect(stat(deep, &status) == 0 && status.st_mode & 0o777 == 0o700)
    }

    @Test func aSymbolicLinkIsNoSocket() throws {
        let daemon = try Daemon(handler: echo)
        let name = "\(daemon.directory)/\(ControlFolder.name("/mnt/link"))"
        symlink("\(daemon.directory)/\(ControlFolder.name(daemon.mountpoint))", name)
        let folder = try ControlFolder(daemon.directory, owner: geteuid(), makes: false)
        #expect(throws: ControlError.self) { close(try folder.connect("/mnt/link")) }
    }

    @Test(arguments: [
        "nonsense\n", "{}\n", "\n", "[[[[\n", "{\"version\":1}\n", "\u{0}\u{1}\n",
        #"{"version":2,"mountpoint":"/mnt/a b","command":"x"}"# + "\n",
        #"{"version":1,"mountpoint":"/other","command":"x"}"# + "\n",
        #"{"version":1,"mountpoint":"/mnt/a b","command":"x","timeout":"y"}"# + "\n",
    ])
    func nonsenseIsRefused(_ line: String) throws {
        let daemon = try Daemon(handler: echo)
        let socket = try daemon.rawConnection()
        defer { close(socket) }
        write(line, to: socket)
        let answer = try #require(readToEnd(socket), "the connection stays open")
        #expect(answer.contains("\"failed\"") && answer.hasSuffix("\n"), "\(answer)")
        #expect(try daemon.ask("x").last?.kind == .done)
    }

    @Test func deepNonsenseIsRefused() throws {
        try nonsenseIsRefused(String(repeating: "[", count: 100_000) + "\n")
    }

    @Test func aHugeLineIsCutOff() throws {
        let daemon = try Daemon(handler: echo)
        let socket = try daemon.rawConnection()
        defer { close(socket) }
        // Ends by the server closing the connection, not by running out of text.
        let piece = String(repeating: "x", count: 1 << 20)
        for _ in 0..<64 { write(piece, to: socket) }
        #expect(readToEnd(socket) != nil)
        #expect(send(socket, "x", 1, Int32(MSG_NOSIGNAL)) < 0)
        #expect(try daemon.ask("x").last?.kind == .done)
    }

    @Test func aSilentClientIsDropped() throws {
        var limits = ControlServer.Limits()
        limits.request = 100
        let daemon = try Daemon(limits: limits, handler: echo)
        let socket = try daemon.rawConnection()
        defer { close(socket) }
        write("{\"version\":", to: socket)
        #expect(readToEnd(socket) == "")
    }

    @Test func aClientThatDoesNotReadIsDropped() throws {
        var limits = ControlServer.Limits()
        limits.answer = 200
        let reply = Mutex<ControlReply?>(nil)
        let daemon = try Daemon(limits: limits) { _, given in
            reply.withLock { $0 = given }
            // More than a socket's buffer holds.
            given.send(
                ControlAnswer(.progress, problems: [String(repeating: "x", count: 4 << 20)]))
        }
        let socket = try daemon.rawConnection()
        defer { close(socket) }
        let request = ControlRequest(mountpoint: daemon.mountpoint, command: "x")
        write(String(decoding: try JSONEncoder().encode(request), as: UTF8.self) + "\n", to: socket)
        while reply.withLock({ $0 == nil }) { usleep(1000) }
        for _ in 0..<1000 {
            // Progress that nobody takes is not piled up.
            reply.withLock { $0 }?.send(
                ControlAnswer(.progress, problems: [String(repeating: "y", count: 1 << 20)]))
        }
        var turns = 0
        while reply.withLock({ $0?.isListening ?? false }), turns < 2000 {
            usleep(10_000)
            turns += 1
        }
        #expect(turns < 2000, "it is still served")
    }

    @Test func aClientThatGoesIsNoticed() throws {
        let reply = Mutex<ControlReply?>(nil)
        let daemon = try Daemon { _, given in reply.withLock { $0 = given } }
        let socket = try daemon.rawConnection()
        let request = ControlRequest(mountpoint: daemon.mountpoint, command: "x")
        write(String(decoding: try JSONEncoder().encode(request), as: UTF8.self) + "\n", to: socket)
        while reply.withLock({ $0 == nil }) { usleep(1000) }
        #expect(reply.withLock { $0?.isListening } == true)
        close(socket)
        var turns = 0
        while reply.withLock({ $0?.isListening ?? false }), turns < 2000 {
            usleep(10_000)
            turns += 1
        }
        #expect(turns < 2000)
        reply.withLock { $0 }?.send(ControlAnswer(.done))
    }

    @Test func aThousandConnectionsDoNotStandInTheWay() throws {
        let daemon = try Daemon(handler: echo)
        var sockets: [Int32] = []
        defer { for socket in sockets { close(socket) } }
        for number in 0..<1000 {
            sockets.append(try daemon.rawConnection())
            if number % 100 == 50 { #expect(try daemon.ask("x").last?.kind == .done) }
        }
        #expect(try daemon.ask("x").last?.kind == .done)
        // The server holds on to few of them.
        let open = sockets.filter { socket in
            var entry = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
            return poll(&entry, 1, 0) == 0
        }
        #expect(open.count <= ControlServer.Limits().connections)
    }

    @Test func namesDiffer() {
        let names = (0..<2000).map { ControlFolder.name("/mnt/\($0)") }
        #expect(Set(names).count == 2000 && names.allSatisfy { $0.utf8.count == 32 })
    }
}
