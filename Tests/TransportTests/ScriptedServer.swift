// A server in the test's own process that says exactly what a script tells it to, byte by byte.
// One thread per connection; never speaks HTTP by itself.

import Foundation
import Synchronization

/// Listens on a loopback port until it is stopped or released.
final class ScriptedServer: Sendable {
    struct State {
        var sockets: Set<Int32> = []
        var connections = 0
        var open = 0
        var mostOpen = 0
        var isStopped = false
    }

    let port: UInt16
    private let listener: Int32
    private let state = Mutex(State())

    /// - Parameter script: called on a thread of its own for each connection, which is closed when
    ///   it returns.
    init(_ script: @escaping @Sendable (ScriptedConnection) -> Void) {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let (listener, port) = withUnsafeMutablePointer(to: &address) { [listener] pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                let isBound = bind(listener, $0, length) == 0 && listen(listener, 256) == 0
                precondition(isBound, "no port to listen on: errno \(errno)")
                getsockname(listener, $0, &length)
            }
            return (listener, UInt16(bigEndian: pointer.pointee.sin_port))
        }
        self.port = port
        Thread.detachNewThread { [weak self] in
            while true {
                let accepted = accept(listener, nil, nil)
                guard accepted >= 0, let self, self.admit(accepted) else {
                    if accepted >= 0 { close(accepted) }
                    return
                }
                Thread.detachNewThread {
                    let connection = ScriptedConnection(socket: accepted)
                    script(connection)
                    self.leave(connection)
                }
            }
        }
    }

    deinit { stop() }

    var url: String { "http://127.0.0.1:\(port)" }
    /// Connections accepted so far, and the most that were open at once.
    var connections: Int { state.withLock { $0.connections } }
    var mostOpen: Int { state.withLock { $0.mostOpen } }

    func stop() {
        let isFirst = state.withLock { state in
            defer { state.isStopped = true }
            for socket in state.sockets { shutdown(socket, Int32(SHUT_RDWR)) }
            return !state.isStopped
        }
        guard isFirst else { return }
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    private func admit(_ socket: Int32) -> Bool {
        state.withLock { state in
            guard !state.isStopped else { return false }
            state.sockets.insert(socket)
            state.connections += 1
            state.open += 1
            state.mostOpen = max(state.mostOpen, state.open)
            return true
        }
    }

    private func leave(_ connection: ScriptedConnection) {
        state.withLock { state in
            state.open -= 1
            state.sockets.remove(connection.socket)
            close(connection.socket)
        }
    }
}

/// One accepted connection. Used by its own thread only.
final class ScriptedConnection {
    let socket: Int32
    private var unread: [UInt8] = []

    init(socket: Int32) { self.socket = socket }

    /// The next request, head and body, or nil when the client has closed.
    func readRequest() -> (head: String, body: [UInt8])? {
        let end = Array("\r\n\r\n".utf8)
        while true {
            if let range = unread.firstRange(of: end) {
                let head = String(decoding: unread[..<range.upperBound], as: UTF8.self)
                unread.removeSubrange(..<range.upperBound)
                var size = 0
                for line in head.lowercased().split(separator: "\r\n")
                where line.hasPrefix("content-length:") {
                    size = Int(line.dropFirst(15).trimmingCharacters(in: .whitespaces)) ?? 0
                }
                while unread.count < size { guard readMore() else { return nil } }
                defer { unread.removeSubrange(..<size) }
                return (head, Array(unread[..<size]))
            }
            guard readMore() else { return nil }
        }
    }

    private func readMore() -> Bool {
        var bytes = [UInt8](repeating: 0, count: 65536)
        let count = recv(socket, &bytes, bytes.count, 0)
        guard count > 0 else { return false }
        unread += bytes[..<count]
        return true
    }

    /// False when the client is gone.
    @discardableResult
    func write(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    @discardableResult
    func write(_ text: String) -> Bool { write(Array(text.utf8)) }

    /// A whole 200 response.
    @discardableResult
    func answer(_ body: String) -> Bool {
        write("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
    }

    /// The connection ends with RST instead of FIN when the script returns.
    func reset() {
        var value = linger(l_onoff: 1, l_linger: 0)
        setsockopt(
            socket, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
    }

    /// Waits until the client has sent something, and leaves it unread.
    func waitForBytes() {
        var byte: UInt8 = 0
        _ = recv(socket, &byte, 1, Int32(MSG_PEEK))
    }

    /// Says that no more will be written; reading goes on.
    func finishWriting() { shutdown(socket, Int32(SHUT_WR)) }

    /// Waits until the client closes.
    func waitForClose() {
        while readMore() {}
    }
}
