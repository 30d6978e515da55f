import Foundation
import Synchronization
import Testing

@testable import Transport

/// A body in memory, read as it is sent.
private final class Source: HTTPBodySource {
    let bytes: [UInt8]
    let readableEnd: Int64
    private let progress = Mutex((reads: 0, furthest: Int64(0)))
    private let onRead: (@Sendable (Int64) -> Void)?

    init(
        _ bytes: [UInt8], readableEnd: Int64 = .max, onRead: (@Sendable (Int64) -> Void)? = nil
    ) {
        self.bytes = bytes
        self.readableEnd = readableEnd
        self.onRead = onRead
    }

    static func pattern(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 9) }
    }

    var size: Int64 { Int64(bytes.count) }
    var furthest: Int64 { progress.withLock { $0.furthest } }
    var reads: Int { progress.withLock { $0.reads } }

    func read(at offset: Int64, into memory: UnsafeMutableRawBufferPointer) -> Bool {
        let end = offset + Int64(memory.count)
        progress.withLock {
            $0.reads += 1
            $0.furthest = max($0.furthest, end)
        }
        onRead?(offset)
        guard end <= min(size, readableEnd) else { return false }
        bytes[Int(offset)..<Int(end)].withUnsafeBytes { memory.copyMemory(from: $0) }
        return true
    }
}

/// Bodies that are read while they are sent.
struct UploadTests {
    private func put(_ server: ScriptedServer, _ source: Source) -> HTTPRequest {
        HTTPRequest(method: "PUT", url: server.url + "/k", source: source)
    }

    @Test(arguments: [0, 1, 5000, 131_072, 7_000_000])
    func sendsWhatIsRead(size: Int) async {
        let seen = Mutex<(head: String, body: [UInt8])?>(nil)
        let server = ScriptedServer { connection in
            while let request = connection.readRequest() {
                seen.withLock { $0 = request }
                connection.answer("ok")
            }
        }
        let source = Source(Source.pattern(size))
        let recorder = await makeTransport().perform(put(server, source))
        #expect(recorder.text == "ok")
        seen.withLock { seen in
            #expect(seen?.body == source.bytes)
            #expect(seen?.head.contains("\r\nContent-Length: \(size)\r\n") == true)
            #expect(seen?.head.contains("Expect") == false)
        }
    }

    @Test func readsAgainWhenAKeptConnectionWasClosed() async {
        let bodies = Mutex<[[UInt8]]>([])
        let server = ScriptedServer { connection in
            guard let request = connection.readRequest() else { return }
            bodies.withLock { $0.append(request.body) }
            connection.answer("ok")
        }
        let transport = makeTransport()
        let bytes = Source.pattern(3000)
        for _ in 0..<5 {
            let recorder = await transport.perform(put(server, Source(bytes)))
            #expect(recorder.text == "ok")
        }
        bodies.withLock { #expect($0 == Array(repeating: bytes, count: 5)) }
    }

    @Test func aBodyThatCannotBeReadEndsTheRequest() async {
        let server = ScriptedServer { connection in _ = connection.readRequest() }
        let source = Source(Source.pattern(5_000_000), readableEnd: 2_000_000)
        let recorder = await makeTransport().perform(put(server, source))
        #expect(recorder.error?.kind == .bodyUnreadable)
    }

    @Test func cancelsInMidBody() async {
        let server = ScriptedServer { connection in
            // Reads nothing: the body stays in buffers.
            connection.waitForBytes()
            sleep(1)
        }
        let transport = makeTransport()
        let recorder = Recorder()
        let task = Mutex<(any HTTPTask)?>(nil)
        let source = Source(Source.pattern(20 << 20)) { _ in task.withLock { $0 }?.cancel() }
        task.withLock { $0 = transport.start(put(server, source), receiver: recorder) }
        // The first read may come before there is a task to cancel.
        while source.reads == 0 { usleep(1000) }
        task.withLock { $0 }?.cancel()
        await recorder.end()
        #expect(recorder.error?.kind == .cancelled)
        #expect(source.furthest < source.size)
    }

    @Test(arguments: [403, 412, 503])
    func anAnswerBeforeTheEndIsTheAnswer(status: Int) async {
        let server = ScriptedServer { connection in
            connection.waitForBytes()
            connection.write(
                "HTTP/1.1 \(status) No\r\nContent-Length: 5\r\nConnection: close\r\n\r\n<no/>")
            connection.finishWriting()
            connection.waitForClose()
        }
        let source = Source(Source.pattern(30 << 20))
        let recorder = await makeTransport().perform(put(server, source))
        #expect(recorder.head?.status == status)
        #expect(recorder.text == "<no/>")
        #expect(recorder.error == nil)
        #expect(source.furthest < source.size)
    }

    @Test func aStalledUploadEnds() async {
        let server = ScriptedServer { connection in
            connection.waitForBytes()
            sleep(30)
        }
        let transport = makeTransport { $0.stallTime = .seconds(1) }
        let source = Source(Source.pattern(30 << 20))
        let recorder = await transport.perform(put(server, source))
        #expect(recorder.error?.kind == .stalled)
        server.stop()
    }

    @Test func theServerMayWorkOnceItHasAll() async {
        let server = ScriptedServer { connection in
            while connection.readRequest() != nil {
                sleep(4)
                connection.answer("ok")
            }
        }
        let transport = makeTransport { $0.stallTime = .seconds(1) }
        var request = put(server, Source(Source.pattern(100_000)))
        request.answerTime = .seconds(60)
        #expect(await transport.perform(request).text == "ok")
        let small = HTTPRequest(
            method: "POST", url: server.url, body: [1], answerTime: .seconds(60))
        #expect(await transport.perform(small).text == "ok")
        // The next request on the same handle has the usual limit again.
        #expect(await transport.get(server.url).error?.kind == .stalled)
    }
}
