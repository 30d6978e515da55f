import Foundation
import Synchronization
import Testing

@testable import Transport

/// How requests end early: limits of time, cancelling, shutdown.
struct EndingTests {
    /// Sends `count` bytes of an endless body every `pause` microseconds.
    private func dripServer(count: Int, pause: UInt32) -> ScriptedServer {
        ScriptedServer { connection in
            _ = connection.readRequest()
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            while connection.write([UInt8](repeating: 65, count: count)) { usleep(pause) }
        }
    }

    private func silentServer() -> ScriptedServer {
        ScriptedServer { connection in connection.waitForClose() }
    }

    @Test func theRequestsTimeoutHolds() async {
        let server = dripServer(count: 4096, pause: 10_000)
        let clock = ContinuousClock()
        let began = clock.now
        let recorder = await makeTransport().get(server.url, timeout: .milliseconds(300))
        #expect(recorder.error?.kind == .timedOut)
        #expect(recorder.count > 0)
        #expect(began.duration(to: clock.now) >= .milliseconds(290))
    }

    @Test func waitingForAConnectionCountsForTheTimeout() async {
        let server = silentServer()
        let transport = makeTransport {
            $0.maxConnections = 1
            $0.stallRate = 0
        }
        let first = Recorder()
        let task = transport.start(
            HTTPRequest(method: "GET", url: server.url), receiver: first)
        let second = await transport.get(server.url, timeout: .milliseconds(100))
        #expect(second.error?.kind == .timedOut)
        task.cancel()
        await first.end()
        #expect(first.error?.kind == .cancelled)
        #expect(server.connections <= 1)
    }

    @Test func silenceIsAStall() async {
        let server = silentServer()
        let transport = makeTransport { $0.stallTime = .seconds(1) }
        #expect(await transport.get(server.url).error?.kind == .stalled)
    }

    @Test func aDripIsAStall() async {
        let server = dripServer(count: 1, pause: 100_000)
        let transport = makeTransport { $0.stallTime = .seconds(1) }
        let recorder = await transport.get(server.url)
        #expect(recorder.error?.kind == .stalled)
        #expect(recorder.head?.status == 200)
    }

    @Test func aRefusedConnectionSaysSo() async {
        let server = silentServer()
        server.stop()
        let recorder = await makeTransport().get(server.url + "/key?secret=query")
        #expect(recorder.error?.kind == .connectFailed)
        #expect(recorder.error?.message.contains("secret") == false)
        #expect(recorder.error?.message.contains("\(server.port)") == true)
    }

    @Test func anUnknownNameSaysSo() async {
        let recorder = await makeTransport().get("http://no-such-host.invalid/")
        #expect(recorder.error?.kind == .nameNotResolved)
    }

    @Test func cancelFromAnotherThread() async {
        let server = silentServer()
        let transport = makeTransport { $0.stallRate = 0 }
        let recorder = Recorder()
        let task = transport.start(HTTPRequest(method: "GET", url: server.url), receiver: recorder)
        task.cancel()
        task.cancel()
        await recorder.end()
        #expect(recorder.error?.kind == .cancelled)
        task.cancel()
        #expect(recorder.isWellFormed)
    }

    @Test func cancelInsideTheHead() async {
        let server = dripServer(count: 65536, pause: 0)
        let transport = makeTransport()
        let task = Mutex<(any HTTPTask)?>(nil)
        let ready = DispatchSemaphore(value: 0)
        let recorder = Recorder(onHead: {
            ready.wait()
            task.withLock { $0 }?.cancel()
        })
        let started = transport.start(
            HTTPRequest(method: "GET", url: server.url), receiver: recorder)
        task.withLock { $0 = started }
        ready.signal()
        await recorder.end()
        #expect(recorder.error?.kind == .cancelled)
        #expect(recorder.count == 0)
        #expect(recorder.isWellFormed)
    }

    @Test func givingUpInsideTheBody() async {
        let server = dripServer(count: 65536, pause: 0)
        let recorder = Recorder(onBody: { $0 < 200_000 })
        let transport = makeTransport()
        _ = await transport.perform(HTTPRequest(method: "GET", url: server.url), recorder)
        #expect(recorder.error?.kind == .cancelled)
    }

    @Test func aRequestMayFollowFromInsideFinish() async {
        let server = ScriptedServer { connection in
            while connection.readRequest() != nil { connection.answer("ok") }
        }
        let transport = makeTransport { $0.maxConnections = 1 }
        let second = Recorder()
        let url = server.url
        let first = Recorder(onFinish: { [weak transport] in
            transport?.start(HTTPRequest(method: "GET", url: url), receiver: second)
        })
        _ = await transport.perform(HTTPRequest(method: "GET", url: url), first)
        await second.end()
        #expect(second.text == "ok")
        #expect(server.connections == 1)
    }

    @Test func aBlockedReceiverHoldsUpOnlyItsOwnThread() async {
        let server = ScriptedServer { connection in
            while connection.readRequest() != nil { connection.answer("ok") }
        }
        let transport = makeTransport { $0.threads = 2 }
        let gate = DispatchSemaphore(value: 0)
        let blocked = Recorder(onHead: { gate.wait() })
        let task = transport.start(
            HTTPRequest(method: "GET", url: server.url), receiver: blocked)
        for _ in 0..<20 {
            #expect(await transport.get(server.url).text == "ok")
        }
        // The caller does not wait either.
        task.cancel()
        gate.signal()
        await blocked.end()
        #expect(blocked.isWellFormed)
    }

    @Test func shutdownEndsEverything() async {
        let server = silentServer()
        let transport = makeTransport {
            $0.maxConnections = 3
            $0.stallRate = 0
        }
        let recorders = (0..<10).map { _ in Recorder() }
        for recorder in recorders {
            transport.start(HTTPRequest(method: "GET", url: server.url), receiver: recorder)
        }
        transport.shutdown()
        for recorder in recorders {
            #expect(recorder.error?.kind == .cancelled)
            #expect(recorder.isWellFormed)
        }
        transport.shutdown()
        #expect(await transport.get(server.url).error?.kind == .cancelled)
    }

    @Test func shutdownFromInsideACallback() async {
        let server = dripServer(count: 65536, pause: 0)
        let transport = makeTransport()
        let recorder = Recorder(onHead: { [weak transport] in transport?.shutdown() })
        _ = await transport.perform(HTTPRequest(method: "GET", url: server.url), recorder)
        #expect(recorder.error?.kind == .cancelled)
    }

    @Test func manyRequestsCancelledAtRandomEndOnce() async {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SplitMix(state: seed)
        let server = ScriptedServer { connection in
            while connection.readRequest() != nil {
                let body = String(repeating: "x", count: 100_000)
                guard connection.answer(body) else { return }
            }
        }
        let transport = makeTransport {
            $0.maxConnections = 8
            $0.threads = 2
        }
        var ends: [Recorder] = []
        for _ in 0..<400 {
            let recorder = Recorder()
            let task = transport.start(
                HTTPRequest(method: "GET", url: server.url), receiver: recorder)
            if random.next() % 2 == 0 {
                let pause = random.next() % 3 * 200
                Thread.detachNewThread {
                    usleep(UInt32(pause))
                    task.cancel()
                }
            }
            ends.append(recorder)
        }
        for recorder in ends {
            await recorder.end()
            let isGood =
                recorder.error?.kind == .cancelled
                || (recorder.error == nil && recorder.count == 100_000)
            #expect(isGood && recorder.isWellFormed, "seed \(seed): \(recorder.error as Any)")
        }
    }
}

/// A seeded generator (splitmix64).
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
