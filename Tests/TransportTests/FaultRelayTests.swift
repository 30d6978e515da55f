import Foundation
import Testing

@testable import Transport

/// The project's relay with faults, in front of a scripted server.
final class FaultRelay: @unchecked Sendable {
    let port: UInt16
    private let controlPort: UInt16
    private let process: ChildProcess

    /// Nil when the relay was not built beside the tests, or does not start.
    init?(target: UInt16, _ options: [String] = []) {
        let program = Bundle.main.executableURL?.deletingLastPathComponent()
            .appending(path: "fault-relay").path
        let found = [
            program,
            CommandLine.arguments.first.map { path in
                URL(filePath: path).deletingLastPathComponent().appending(path: "fault-relay").path
            },
        ].compactMap { $0 }.first { FileManager.default.isExecutableFile(atPath: $0) }
        guard let found,
            let process = ChildProcess(
                [found, "--target", "\(target)", "--max-seconds", "60"] + options),
            let words = process.readLine()?.split(separator: " "), words.count == 4,
            let port = UInt16(words[1]), let controlPort = UInt16(words[3])
        else { return nil }
        self.process = process
        self.port = port
        self.controlPort = controlPort
    }

    var url: String { "http://127.0.0.1:\(port)" }

    /// Sends a command to the control port and returns its answer.
    func command(_ text: String) -> String {
        let control = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(control) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        address.sin_port = controlPort.bigEndian
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(control, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { return "errno \(errno)" }
        let line = Array((text + "\n").utf8)
        guard send(control, line, line.count, 0) == line.count else { return "errno \(errno)" }
        var answer = [UInt8](repeating: 0, count: 1024)
        let count = recv(control, &answer, answer.count, 0)
        return String(decoding: answer[..<max(0, count)], as: UTF8.self)
            .trimmingCharacters(in: .newlines)
    }

    /// A counter of "stats".
    func count(_ name: String) -> Int? {
        for word in command("stats").split(separator: " ") where word.hasPrefix(name + "=") {
            return Int(word.dropFirst(name.count + 1))
        }
        return nil
    }
}

struct FaultRelayTests {
    private static let size = 1 << 20

    private func makeServer() -> ScriptedServer {
        let body = (0..<Self.size).map { UInt8(truncatingIfNeeded: $0) }
        return ScriptedServer { connection in
            while let request = connection.readRequest() {
                connection.write("HTTP/1.1 200 OK\r\nContent-Length: \(Self.size)\r\n\r\n")
                if !request.head.hasPrefix("HEAD") { guard connection.write(body) else { return } }
            }
        }
    }

    private func isWhole(_ recorder: Recorder) -> Bool {
        recorder.state.withLock { state in
            state.body.count == Self.size
                && state.body.indices.allSatisfy {
                    state.body[$0] == UInt8(truncatingIfNeeded: $0)
                }
        }
    }

    @Test func relaysAndCountsRequests() async throws {
        let server = makeServer()
        let relay = try #require(FaultRelay(target: server.port, ["--rtt", "20"]))
        let transport = makeTransport()
        for _ in 0..<3 {
            let recorder = await transport.get(relay.url)
            #expect(isWhole(recorder))
            #expect(recorder.statistics.map { $0.firstByte >= .milliseconds(20) } == true)
        }
        let head = await transport.perform(HTTPRequest(method: "HEAD", url: relay.url))
        #expect(head.head?.status == 200)
        let body = [UInt8](repeating: 1, count: 2_000_000)
        let put = await transport.perform(HTTPRequest(method: "PUT", url: relay.url, body: body))
        #expect(isWhole(put))
        #expect(relay.count("requests") == 5)
        #expect(relay.count("GET") == 3)
        #expect(relay.count("HEAD") == 1)
        #expect(relay.count("PUT") == 1)
        #expect(relay.count("connections") == 1)
        #expect(relay.command("zero") == "ok")
        #expect(relay.count("requests") == 0)
    }

    @Test func answersSlowDownItself() async throws {
        let server = makeServer()
        let relay = try #require(FaultRelay(target: server.port, ["--error-503", "1000"]))
        let transport = makeTransport()
        for method in ["GET", "HEAD", "PUT"] {
            let recorder = await transport.perform(
                HTTPRequest(method: method, url: relay.url, body: method == "PUT" ? [1, 2] : nil))
            #expect(recorder.head?.status == 503)
            #expect(recorder.text.contains("<Code>SlowDown</Code>") == (method != "HEAD"))
        }
        #expect(relay.count("errors") == 3)
        #expect(relay.count("up") == 0)
        #expect(relay.command("error-503 0") == "ok")
        // The same connection goes on, now with the server.
        #expect(isWhole(await transport.get(relay.url)))
        #expect(relay.count("connections") == 1)
    }

    @Test func faultsInTheBody() async throws {
        let server = makeServer()
        let relay = try #require(FaultRelay(target: server.port))
        let transport = makeTransport()

        #expect(relay.command("truncate 1000") == "ok")
        let truncated = await transport.get(relay.url)
        #expect(truncated.error?.kind == .bodyTooShort)
        #expect(relay.count("truncated") == 1)

        #expect(relay.command("truncate 0") == "ok")
        #expect(relay.command("corrupt 1000000") == "ok")
        let corrupted = await transport.get(relay.url)
        #expect(corrupted.error == nil)
        #expect(corrupted.count == Self.size)
        #expect(!isWhole(corrupted))

        #expect(relay.command("corrupt 0") == "ok")
        #expect(relay.command("cut 1000000") == "ok")
        let cut = await transport.get(relay.url)
        #expect(cut.error?.kind == .connectionLost)
        #expect(relay.count("cut") == 1)
    }

    @Test func stopsAndGoesOn() async throws {
        let server = makeServer()
        let relay = try #require(FaultRelay(target: server.port, ["--rate", "1"]))
        let transport = makeTransport()
        let broken = Recorder(onBody: { _ in
            _ = relay.command("stop")
            return true
        })
        _ = await transport.perform(HTTPRequest(method: "GET", url: relay.url), broken)
        #expect(broken.error?.kind == .connectionLost)
        #expect(await transport.get(relay.url).error?.kind == .connectFailed)
        #expect(relay.command("rate 0") == "ok")
        #expect(relay.command("go") == "ok")
        #expect(isWhole(await transport.get(relay.url)))

        #expect(relay.command("blackhole 1") == "ok")
        let lost = await transport.get(relay.url, timeout: .milliseconds(300))
        #expect(lost.error?.kind == .timedOut)
        #expect(relay.command("no-such 1").hasPrefix("error"))
    }
}
