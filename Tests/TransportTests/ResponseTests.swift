import Foundation
import Synchronization
import Testing

@testable import Transport

/// What comes in: status, headers and body, whole and broken.
struct ResponseTests {
    @Test func deliversStatusHeadersAndBody() async throws {
        let server = ScriptedServer { connection in
            _ = connection.readRequest()
            connection.write(
                "HTTP/1.1 206 Partial Content\r\nETag:  \"abc\" \r\nx-amz-meta-Owner: n:o\r\n"
                    + "Content-Length: 5\r\nX-Empty:\r\n\r\nhello")
        }
        let recorder = await makeTransport().get(server.url + "/a")
        let head = try #require(recorder.head)
        #expect(head.status == 206)
        #expect(
            head.headers.map(\.name) == ["ETag", "x-amz-meta-Owner", "Content-Length", "X-Empty"])
        #expect(head.headers.map(\.value) == ["\"abc\"", "n:o", "5", ""])
        #expect(head.first("etag") == "\"abc\"")
        #expect(recorder.text == "hello")
        let statistics = try #require(recorder.statistics)
        #expect(statistics.newConnection)
        #expect(statistics.firstByte <= statistics.total)
    }

    @Test func errorsOfTheServerAreResponses() async {
        let server = ScriptedServer { connection in
            _ = connection.readRequest()
            connection.write(
                "HTTP/1.1 301 Moved\r\nLocation: /elsewhere\r\nContent-Length: 3\r\n\r\nxml")
        }
        let recorder = await makeTransport().get(server.url)
        #expect(recorder.head?.status == 301)
        #expect(recorder.text == "xml")
        #expect(recorder.error == nil)
    }

    @Test func dropsInterimResponses() async {
        let server = ScriptedServer { connection in
            _ = connection.readRequest()
            connection.write(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                    + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        }
        let recorder = await makeTransport().get(server.url)
        #expect(recorder.head?.status == 200)
        #expect(recorder.head?.first("Link") == nil)
        #expect(recorder.text == "ok")
    }

    @Test func joinsChunksAndIgnoresTrailers() async {
        let server = ScriptedServer { connection in
            _ = connection.readRequest()
            connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            usleep(20_000)
            connection.write("6\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n")
            connection.waitForClose()
        }
        let recorder = await makeTransport().get(server.url)
        #expect(recorder.text == "hello world")
        #expect(recorder.head?.first("X-Trailer") == nil)
        #expect(recorder.error == nil)
    }

    @Test func decodesNothing() async {
        let seen = Mutex("")
        let server = ScriptedServer { connection in
            let head = connection.readRequest()?.head ?? ""
            seen.withLock { $0 = head.lowercased() }
            connection.write(
                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nraw!")
        }
        let recorder = await makeTransport().get(server.url)
        #expect(recorder.text == "raw!")
        #expect(!seen.withLock { $0 }.contains("accept-encoding"))
    }

    @Test func headHasNoBody() async {
        let server = ScriptedServer { connection in
            while let request = connection.readRequest() {
                let body = request.head.hasPrefix("HEAD") ? "" : "body"
                connection.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + body)
            }
        }
        let transport = makeTransport()
        let head = await transport.perform(HTTPRequest(method: "HEAD", url: server.url))
        #expect(head.head?.first("content-length") == "4")
        #expect(head.count == 0)
        #expect(head.error == nil)
        // The handle that did a HEAD does a GET next.
        #expect(await transport.get(server.url).text == "body")
        #expect(server.connections == 1)
    }

    @Test func deliversALargeBodyWhole() async {
        let size = 8 << 20
        let body = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 11) }
        let server = ScriptedServer { connection in
            _ = connection.readRequest()
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n")
            connection.write(body)
        }
        let request = HTTPRequest(method: "GET", url: server.url, expectedBody: Int64(size))
        let recorder = await makeTransport().perform(request)
        #expect(recorder.state.withLock { $0.body == body })
    }

    @Test(arguments: [
        "Content-Length: 10\r\n\r\nhalf!", "Transfer-Encoding: chunked\r\n\r\n9\r\nhalf!",
    ])
    func aShortBodyIsAnError(rest: String) async {
        let server = ScriptedServer { connection in
            _ = connection.readRequest()
            connection.write("HTTP/1.1 200 OK\r\n" + rest)
        }
        let recorder = await makeTransport().get(server.url)
        #expect(recorder.text == "half!")
        #expect(recorder.error?.kind == .bodyTooShort)
    }

    @Test func aResetIsALostConnection() async {
        let server = ScriptedServer { connection in
            _ = connection.readRequest()
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf!")
            usleep(50_000)
            connection.reset()
        }
        let recorder = await makeTransport().get(server.url)
        #expect(recorder.error?.kind == .connectionLost)
    }

    @Test(arguments: ["", "HTTP/1.1 200 OK\r\nContent-Le"])
    func anEndInsideTheHeadIsALostConnection(head: String) async {
        let server = ScriptedServer { connection in
            _ = connection.readRequest()
            connection.write(head)
        }
        let recorder = await makeTransport().get(server.url)
        #expect(recorder.error?.kind == .connectionLost)
        #expect(recorder.head == nil)
    }

    @Test func hugeHeadersAreRefused() async {
        let server = ScriptedServer { connection in
            _ = connection.readRequest()
            connection.write("HTTP/1.1 200 OK\r\n")
            for number in 0..<100 {
                let value = String(repeating: "v", count: 1000)
                connection.write("X-\(number): \(value)\r\n")
            }
            connection.write("Content-Length: 0\r\n\r\n")
        }
        let recorder = await makeTransport().get(server.url)
        #expect(recorder.error?.kind == .other)
        #expect(recorder.error?.message.contains("65536") == true)
        #expect(recorder.head == nil)
    }

    @Test(arguments: ["SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 abc\r\n\r\n", "\0\0\0"])
    func nonsenseIsAnError(text: String) async {
        let server = ScriptedServer { connection in
            _ = connection.readRequest()
            connection.write(text)
        }
        let recorder = await makeTransport().get(server.url)
        #expect(recorder.error != nil)
        #expect(recorder.head == nil)
    }
}
