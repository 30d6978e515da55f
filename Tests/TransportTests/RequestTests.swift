import Foundation
import Synchronization
import Testing

@testable import Transport

/// What goes out: request line, headers, bodies, connections.
struct RequestTests {
    /// Performs a request against a server that keeps what it read.
    private func seen(_ make: (String) -> HTTPRequest) async -> (head: String, body: [UInt8]) {
        let requests = Mutex<[(head: String, body: [UInt8])]>([])
        let server = ScriptedServer { connection in
            while let request = connection.readRequest() {
                requests.withLock { $0.append(request) }
                connection.answer("ok")
            }
        }
        let recorder = await makeTransport().perform(make(server.url))
        #expect(recorder.text == "ok")
        return requests.withLock { $0.first } ?? ("", [])
    }

    @Test func sendsPathAndHeadersAsTheyAre() async {
        let request = await seen { url in
            HTTPRequest(
                method: "GET", url: url + "/b/../c//%2e?x=1%20",
                headers: [("X-One", "1"), ("X-Empty", ""), ("Range", "bytes=0-1")])
        }
        #expect(request.head.hasPrefix("GET /b/../c//%2e?x=1%20 HTTP/1.1\r\n"))
        #expect(request.head.contains("\r\nX-One: 1\r\nX-Empty:\r\nRange: bytes=0-1\r\n"))
        #expect(request.head.contains("\r\nUser-Agent: pail/test\r\n"))
        #expect(!request.head.contains("Accept"))
    }

    @Test(arguments: ["PUT", "POST"])
    func sendsBodies(method: String) async {
        let body = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let request = await seen { url in
            HTTPRequest(
                method: method, url: url, headers: [("Content-Length", "3000000")], body: body)
        }
        #expect(request.head.hasPrefix(method + " / HTTP/1.1\r\n"))
        #expect(request.head.components(separatedBy: "Content-Length: 3000000").count == 2)
        #expect(!request.head.contains("Expect"))
        #expect(!request.head.contains("Content-Type"))
        #expect(request.body == body)
    }

    @Test func sendsEmptyBodies() async {
        for method in ["PUT", "POST"] {
            let request = await seen { HTTPRequest(method: method, url: $0) }
            #expect(request.head.contains("\r\nContent-Length: 0\r\n"))
        }
        let delete = await seen { HTTPRequest(method: "DELETE", url: $0) }
        #expect(delete.head.hasPrefix("DELETE / HTTP/1.1\r\n"))
        #expect(!delete.head.contains("Content-Length"))
    }

    @Test func keepsConnections() async {
        let server = ScriptedServer { connection in
            while connection.readRequest() != nil { connection.answer("ok") }
        }
        let transport = makeTransport()
        var wereNew: [Bool?] = []
        for _ in 0..<20 {
            wereNew.append(await transport.get(server.url).statistics?.newConnection)
        }
        #expect(wereNew == [true] + Array(repeating: false, count: 19))
        #expect(server.connections == 1)
    }

    @Test func sendsAgainWhenAKeptConnectionWasClosed() async {
        let server = ScriptedServer { connection in
            _ = connection.readRequest()
            connection.answer("ok")
        }
        let transport = makeTransport()
        for _ in 0..<5 {
            let recorder = await transport.perform(
                HTTPRequest(method: "PUT", url: server.url, body: [1, 2, 3]))
            #expect(recorder.text == "ok")
        }
    }

    @Test(arguments: [1, 2])
    func neverOpensMoreConnectionsThanAllowed(threads: Int) async {
        let server = ScriptedServer { connection in
            while connection.readRequest() != nil {
                usleep(2000)
                connection.answer("ok")
            }
        }
        let transport = makeTransport {
            $0.maxConnections = 4
            $0.threads = threads
        }
        let recorders = (0..<60).map { _ in Recorder() }
        for recorder in recorders {
            transport.start(HTTPRequest(method: "GET", url: server.url), receiver: recorder)
        }
        for recorder in recorders {
            await recorder.end()
            #expect(recorder.text == "ok")
        }
        #expect(server.mostOpen <= 4)
    }

    @Test func refusesWhatCannotBeSent() async {
        let transport = makeTransport()
        for url in ["ftp://x/", "file:///etc/passwd", "http://", "127.0.0.1/", "http://a b/"] {
            #expect(await transport.get(url).error?.kind == .badURL, "\(url)")
        }
        let injected = HTTPRequest(
            method: "GET", url: "http://127.0.0.1:1/", headers: [("X", "a\r\nAuthorization: b")])
        let error = await transport.perform(injected).error
        #expect(error?.kind == .other)
        #expect(error?.message == "the header X contains a line break")
    }

    @Test func debugLinesHaveNoSecrets() async {
        let server = ScriptedServer { connection in
            _ = connection.readRequest()
            connection.write(
                "HTTP/1.1 200 OK\r\nSet-Cookie: SECRET\r\nX-Seen: yes\r\n"
                    + "Content-Length: 6\r\n\r\nSECRET")
        }
        let lines = Mutex<[String]>([])
        let transport = makeTransport {
            $0.debug = { line in lines.withLock { $0.append(line) } }
        }
        let request = HTTPRequest(
            method: "PUT",
            url: server.url
                + "/k?X-Amz-Credential=SECRET%2F1&x=keep&X-Amz-Signature=SECRET&Signature=SECRET",
            headers: [
                ("Authorization", "AWS4-HMAC-SHA256 Credential=SECRET, Signature=SECRET"),
                ("X-Amz-Security-Token", "SECRET" + String(repeating: "y", count: 20_000)),
                ("x-aws-ec2-metadata-token", "SECRET"), ("X-Plain", "seen"),
            ], body: Array("SECRET".utf8))
        _ = await transport.perform(request)
        let text = lines.withLock { $0.joined(separator: "\n") }
        #expect(!text.contains("SECRET"))
        #expect(!text.contains("yyy"))
        #expect(text.contains("x=keep"))
        #expect(text.contains("> X-Plain: seen"))
        #expect(text.contains("> Authorization: [removed]"))
        #expect(text.contains("< X-Seen: yes"))
    }
}
