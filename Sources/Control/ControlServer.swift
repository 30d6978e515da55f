// The daemon's side of the control socket: one thread, poll(2), a bounded number of connections, each
// with a bounded request, bounded answers and a time limit.
//
// Handlers are called on that thread and must not wait: they answer through ControlReply, from any
// thread. A client that is slow, silent or talks nonsense loses its connection and nothing else; when
// connections run out, the oldest that has not asked yet goes.
//
// Locks: `state`, a leaf; sockets are used outside it, by the server's thread only.

import CPlatform
import Foundation
import Glibc
import Synchronization

/// Serves one mount's control socket.
public final class ControlServer: Sendable {
    public typealias Handler = @Sendable (ControlRequest, ControlReply) -> Void

    /// How much a client may take.
    public struct Limits: Sendable {
        public var connections = 32
        /// How long a request may take to arrive, in milliseconds.
        public var request: Int64 = 10_000
        /// How long a client may not read its answers, in milliseconds.
        public var answer: Int64 = 30_000

        public init() {}
    }

    struct Connection {
        let socket: Int32
        var input: [UInt8] = []
        var output: [UInt8] = []
        var hasAsked = false
        /// The last answer is in `output`.
        var isEnding = false
        /// Monotonic milliseconds.
        var deadline: Int64
    }

    private struct State: ~Copyable {
        var connections: [Int: Connection] = [:]
        var next = 0
        var isStopped = false
    }

    private let folder: ControlFolder
    private let mountpoint: String
    private let identity: [UInt64]?
    private let listener: Int32
    private let wakers: (read: Int32, write: Int32)
    private let limits: Limits
    private let handler: Handler
    private let state = Mutex(State())

    /// Listens; clients are answered once `run` runs.
    ///
    /// - Parameter mountpoint: absolute, as the mount table has it.
    public init(
        in folder: ControlFolder, mountpoint: String, limits: Limits = Limits(),
        handler: @escaping Handler
    ) throws(ControlError) {
        var ends: [Int32] = [0, 0]
        guard unsafe pipe(&ends) == 0 else {
            throw ControlError("cannot make a pipe", errno: errno)
        }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        wakers = (ends[0], ends[1])
        listener = try folder.listen(mountpoint)
        _ = fcntl(listener, F_SETFL, O_NONBLOCK)
        self.folder = folder
        self.mountpoint = mountpoint
        self.limits = limits
        self.handler = handler
        identity = folder.identity(mountpoint)
    }

    deinit {
        close(listener)
        close(wakers.read)
        close(wakers.write)
        state.withLock { state in
            for connection in state.connections.values { close(connection.socket) }
        }
    }

    /// Ends `run` and takes the socket away, unless it is a later mount's by now.
    public func stop() {
        let isFirst = state.withLock { state in
            defer { state.isStopped = true }
            return !state.isStopped
        }
        guard isFirst else { return }
        if let identity, folder.identity(mountpoint) == identity { folder.remove(mountpoint) }
        wake()
    }

    /// Answers clients until `stop`.
    public func run() {
        while let (polled, timeout) = prepare() {
            var entries = polled.map(\.entry)
            let count = unsafe poll(&entries, nfds_t(entries.count), timeout)
            guard count >= 0 || errno == EINTR else { return }
            if entries[0].revents != 0 { drain() }
            if entries[1].revents != 0 { accept() }
            for (index, entry) in entries.enumerated().dropFirst(2) where count > 0 {
                let id = polled[index].id
                if entry.revents & Int16(POLLOUT) != 0 { send(id) }
                if entry.revents & ~Int16(POLLOUT) != 0 { receive(id) }
            }
            expire()
        }
    }

    /// What to wait for; nil once stopped.
    private func prepare() -> (polled: [(id: Int, entry: pollfd)], timeout: Int32)? {
        state.withLock { state in
            guard !state.isStopped else { return nil }
            var polled = [wakers.read, listener].map {
                (id: -1, entry: pollfd(fd: $0, events: Int16(POLLIN), revents: 0))
            }
            var nearest = Int64.max
            for (id, connection) in state.connections {
                let events = connection.output.isEmpty ? POLLIN : POLLIN | POLLOUT
                polled.append(
                    (id, pollfd(fd: connection.socket, events: Int16(events), revents: 0)))
                nearest = min(nearest, connection.deadline)
            }
            guard nearest < .max else { return (polled, -1) }
            return (polled, Int32(clamping: max(0, nearest - Self.now) + 1))
        }
    }

    // MARK: Connections

    private func accept() {
        while true {
            let socket = pail_accept(listener)
            guard socket >= 0 else { return }
            let peer = pail_peer_uid(socket)
            guard peer == 0 || peer == Int64(geteuid()) else {
                close(socket)
                continue
            }
            let deadline = Self.now + limits.request
            let dropped = state.withLock { state -> Int32? in
                var dropped: Int32?
                if state.connections.count >= limits.connections {
                    let silent = state.connections.filter { !$0.value.hasAsked }.keys.min()
                    guard let silent else { return socket }
                    dropped = state.connections.removeValue(forKey: silent)?.socket
                }
                state.connections[state.next] = Connection(socket: socket, deadline: deadline)
                state.next += 1
                return dropped
            }
            if let dropped { close(dropped) }
        }
    }

    private func drop(_ id: Int) {
        let socket = state.withLock { $0.connections.removeValue(forKey: id)?.socket }
        if let socket { close(socket) }
    }

    private func expire() {
        let now = Self.now
        let late = state.withLock { state in
            state.connections.filter { $0.value.deadline <= now }.map(\.key)
        }
        for id in late { drop(id) }
    }

    private func receive(_ id: Int) {
        guard let socket = state.withLock({ $0.connections[id]?.socket }) else { return }
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        let count = unsafe read(socket, &chunk, chunk.count)
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        guard count > 0 else { return drop(id) }
        let line: [UInt8]?? = state.withLock { state in
            // Who talks on while being answered is not listening to us.
            guard var connection = state.connections[id], !connection.hasAsked else { return nil }
            connection.input += chunk[..<count]
            let end = connection.input.firstIndex(of: 0x0A)
            guard (end ?? connection.input.count) <= ControlRequest.mostBytes else { return nil }
            let line = end.map { Array(connection.input[..<$0]) }
            if line != nil {
                connection.hasAsked = true
                connection.input = []
                connection.deadline = .max
            }
            state.connections[id] = connection
            return .some(line)
        }
        guard let line else { return drop(id) }
        if let line { answer(line, ControlReply(self, id)) }
    }

    private func answer(_ line: [UInt8], _ reply: ControlReply) {
        guard let request = try? JSONDecoder().decode(ControlRequest.self, from: Data(line)) else {
            return reply.send(ControlAnswer(.failed, problems: ["the request makes no sense"]))
        }
        guard request.version == ControlRequest.currentVersion else {
            return reply.send(
                ControlAnswer(
                    .failed, problems: ["the daemon is of another version; mount again"]))
        }
        guard request.mountpoint == mountpoint else {
            return reply.send(
                ControlAnswer(.failed, problems: ["the daemon serves another mountpoint"]))
        }
        handler(request, reply)
    }

    private func send(_ id: Int) {
        guard
            let (socket, output) = state.withLock({ state in
                state.connections[id].map { ($0.socket, Array($0.output.prefix(64 << 10))) }
            })
        else { return }
        let count = unsafe Glibc.send(socket, output, output.count, Int32(MSG_NOSIGNAL))
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        guard count >= 0 else { return drop(id) }
        let isOver = state.withLock { state in
            state.connections[id]?.output.removeFirst(count)
            let isSent = state.connections[id]?.output.isEmpty ?? true
            let isEnding = state.connections[id]?.isEnding ?? true
            state.connections[id]?.deadline = isSent ? .max : Self.now + limits.answer
            return isSent && isEnding
        }
        if isOver { drop(id) }
    }

    // MARK: Answers

    /// Queues an answer; progress only when the one before has gone. False when nobody listens.
    func queue(_ answer: ControlAnswer, _ id: Int) -> Bool {
        guard var line = try? Array(JSONEncoder().encode(answer)) else { return false }
        line.append(0x0A)
        let isHeard = state.withLock { state in
            guard !state.isStopped, state.connections[id]?.isEnding == false else { return false }
            let isIdle = state.connections[id]?.output.isEmpty ?? false
            if answer.kind == .progress, !isIdle { return true }
            if isIdle { state.connections[id]?.deadline = Self.now + limits.answer }
            state.connections[id]?.output += line
            if answer.kind != .progress { state.connections[id]?.isEnding = true }
            return true
        }
        if isHeard { wake() }
        return isHeard
    }

    func isListening(_ id: Int) -> Bool { state.withLock { $0.connections[id] != nil } }

    private func wake() {
        var byte: UInt8 = 0
        _ = unsafe write(wakers.write, &byte, 1)
    }

    private func drain() {
        var bytes = [UInt8](repeating: 0, count: 512)
        while unsafe read(wakers.read, &bytes, bytes.count) > 0 {}
    }

    /// Monotonic milliseconds.
    private static var now: Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}

/// Where the answers to one request go; may be used from any thread.
public final class ControlReply: Sendable {
    private let server: ControlServer
    private let id: Int

    init(_ server: ControlServer, _ id: Int) {
        self.server = server
        self.id = id
    }

    /// Sends an answer; after one that is not progress nothing more is sent. Progress that the client
    /// does not keep up with is left out.
    public func send(_ answer: ControlAnswer) { _ = server.queue(answer, id) }

    /// False once the client has gone.
    public var isListening: Bool { server.isListening(id) }
}
