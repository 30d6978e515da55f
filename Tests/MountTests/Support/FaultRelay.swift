// The fault relay as a child of the test: a server's address that is slow, breaks or goes away on
// command, and that counts what passes through it.

import Foundation
import Testing

final class FaultRelay {
    let url: String
    private let program: RunningProgram
    private let control: String

    /// - Parameter options: faults from the start; see Tests/FaultRelay/main.c.
    init(to target: String, _ options: [String] = []) throws {
        let port = try freePort()
        let controlPort = try freePort()
        url = "http://127.0.0.1:\(port)"
        control = "\(controlPort)"
        let targetPort = try #require(URL(string: target)?.port)
        program = try RunningProgram(
            [
                Project.program("fault-relay"), "--listen", "\(port)", "--target", "\(targetPort)",
                "--control", control, "--seed", "42",
            ] + options)
        let program = self.program
        let answers = try eventually(within: 5) {
            try !program.isRunning
                || run("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/\(controlPort)").status == 0
        }
        try #require(
            answers && program.isRunning, "the fault relay does not start: \(program.errors)")
    }

    /// Sends one command, such as "stop" or "cut 50", and returns the answer.
    @discardableResult
    func tell(_ command: String) throws -> String {
        let answer = try must(
            "python3", "-c",
            """
            import socket, sys
            s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)
            s.sendall(sys.argv[2].encode() + b"\\n")
            s.shutdown(socket.SHUT_WR)
            print(s.makefile().read(), end="")
            """, control, command
        ).text
        try #require(!answer.hasPrefix("error"), "\(command): \(answer)")
        return answer
    }

    /// Requests that passed so far.
    func requests() throws -> Int {
        let answer = try tell("stats")
        let found = answer.firstMatch(of: /requests=(\d+)/)
        return try #require(found.flatMap { Int($0.1) }, "no count of requests in: \(answer)")
    }
}

func freePort() throws -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, length) | getsockname(descriptor, $0, &length)
        }
    }
    try #require(code == 0, "no free port")
    return Int(UInt16(bigEndian: address.sin_port))
}
