import Glibc
import Scheduling
import Synchronization
import Testing
import Transport

@testable import S3

private let live = getenv("PAIL_TEST_RGW").map { String(cString: $0) }

/// Against a server that verifies signatures: PAIL_TEST_RGW=http://HOST:PORT, key and secret
/// PAIL_TEST_OWNER_KEY and PAIL_TEST_OWNER_SECRET, else minioadmin. Fails when the server is down.
@Suite(.enabled(if: live != nil), .serialized)
struct LiveTests {
    private let transport = CurlTransport(
        configuration: TransportConfiguration(userAgent: "pail/test"))
    private let scheduler = ThreadScheduler(threads: 1, name: "live")
    private let bucket = "pail-s3-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    private let credentials = Credentials(
        accessKeyID: getenv("PAIL_TEST_OWNER_KEY").map { String(cString: $0) } ?? "minioadmin",
        secretAccessKey: getenv("PAIL_TEST_OWNER_SECRET").map { String(cString: $0) }
            ?? "minioadmin")

    private func client(
        bucket: String? = nil, _ credentials: Credentials? = nil, region: String? = "us-east-1",
        endpoint: String? = nil
    ) throws -> S3Client {
        let source = S3Source(
            bucket: bucket ?? self.bucket, region: region, endpointURL: endpoint ?? live!)
        return try S3Client(
            configuration: S3ClientConfiguration(source: source, operationDeadline: .seconds(10)),
            credentials: StaticCredentials(credentials ?? self.credentials), transport: transport,
            scheduler: scheduler)
    }

    /// A signed request that the client itself has no operation for.
    private func send(_ method: String, _ key: [UInt8]?, body: [UInt8]? = nil) async throws {
        let endpoint = try Endpoint.resolve(
            S3Source(bucket: bucket, endpointURL: live!), region: "us-east-1")
        let path = RequestBuilder.path(of: key, at: endpoint)
        let payload = PayloadHash.hashing(body ?? [])
        let date = Dates.amz(scheduler.unixTime.components.seconds)
        var headers: [(name: String, value: String)] = [
            ("host", endpoint.authority), ("x-amz-content-sha256", payload.header),
            ("x-amz-date", date),
        ]
        if key != nil { headers.append(("x-amz-meta-mtime", "1.5")) }
        let authorization = Signer().authorization(
            for: SignableRequest(method: method, path: path, headers: headers, payload: payload),
            credentials: credentials, region: "us-east-1", amzDate: date)
        headers[0] = ("Authorization", authorization)
        let request = HTTPRequest(
            method: method, url: RequestBuilder.url(endpoint, path: path, query: []),
            headers: headers, body: body, timeout: .seconds(20))
        let status = await withCheckedContinuation { continuation in
            transport.start(request, receiver: StatusOnly { continuation.resume(returning: $0) })
        }
        #expect((200..<300).contains(status), "\(method) \(ObjectKey(key ?? [])): \(status)")
    }

    private func get(_ client: S3Client, _ request: GetRequest) async -> Collector.State {
        let collector = Collector(from: request.range?.lowerBound ?? 0)
        await withCheckedContinuation { continuation in
            client.get(request, receiver: Ending(collector) { continuation.resume() })
        }
        return collector.state.withLock { $0 }
    }

    private static let keys: [[UInt8]] = {
        var keys = (1...255).map { byte in Array("b/x".utf8) + [UInt8(byte)] + Array("y".utf8) }
        // Keys in XML and URLs are UTF-8 for this server, see the test of bytes beyond it.
        keys.removeAll { $0[3] >= 0x80 }
        for text in [
            "a//b", "/lead", "a/../b", "./a", "..", "a/.", "+ %25%", "가나 다/é", "dir/", "q?x=1&y#z",
            "~",
            String(repeating: "k", count: 1024),
        ] {
            keys.append(Array(text.utf8))
        }
        return keys
    }()

    @Test func everyOddKeyListsHeadsAndReads() async throws {
        try await send("PUT", nil)
        for key in Self.keys { try await send("PUT", key, body: key) }
        let client = try client()
        var seen: [[UInt8]] = []
        var request = ListRequest(prefix: [], delimited: false, maxKeys: 100)
        repeat {
            let page = try await client.listPage(request)
            seen += page.objects.map(\.key.bytes)
            request.continuationToken = page.nextToken
        } while request.continuationToken != nil
        #expect(Set(seen) == Set(Self.keys) && seen.count == Self.keys.count)
        #expect(seen == seen.sorted { $0.lexicographicallyPrecedes($1) })
        for key in Self.keys {
            let head = try await client.headObject(ObjectKey(key))
            #expect(head.size == key.count && head.metadata["mtime"] == "1.5", "\(ObjectKey(key))")
            let got = await get(client, GetRequest(key: ObjectKey(key), ifMatch: head.etag))
            #expect(got.bytes == key && got.results.map(\.kind) == [nil], "\(ObjectKey(key))")
        }
        let page = try await client.listPage(ListRequest(prefix: Array("a/".utf8)))
        #expect(
            page.commonPrefixes.map { String(decoding: $0, as: UTF8.self) }
                == ["a/../", "a//"].sorted())
        for key in Self.keys { try await send("DELETE", key) }
        try await send("DELETE", nil)
    }

    /// Servers differ in whether such keys may be; the signature must be right in any case.
    @Test func bytesBeyondUTF8AreSignedRight() async throws {
        try await send("PUT", nil)
        let client = try client()
        for byte in UInt8(0x80)...0xFF {
            let key = ObjectKey([0x62, byte, 0x2F])
            let got = await get(client, GetRequest(key: key, range: 0..<1))
            let kind = try #require(got.results.first).kind
            #expect(kind == .notFound || kind == .other, "\(byte): \(got.results)")
            let page = try await client.listPage(ListRequest(prefix: key.bytes))
            #expect(page.objects.isEmpty)
        }
        try await send("DELETE", nil)
    }

    @Test func rangesAndConditions() async throws {
        try await send("PUT", nil)
        let key = ObjectKey("numbers")
        let body = (0..<300_000).map { UInt8($0 % 251) }
        try await send("PUT", key.bytes, body: body)
        let client = try client()
        let head = try await client.headObject(key)
        for range in [0..<1, 5..<100_000, 299_999..<300_000, 299_000..<400_000] as [Range<Int64>] {
            let got = await get(client, GetRequest(key: key, range: range, ifMatch: head.etag))
            #expect(got.orderly && got.results.map(\.kind) == [nil])
            #expect(
                got.bytes
                    == Array(body[Int(range.lowerBound)..<min(Int(range.upperBound), 300_000)]))
            #expect(got.head?.size == 300_000 && got.head?.etag == head.etag)
        }
        let past = await get(client, GetRequest(key: key, range: 300_000..<300_001))
        #expect(past.results.map(\.kind) == [.invalidRange])
        let other = await get(client, GetRequest(key: key, range: 0..<9, ifMatch: ETag("nope")))
        #expect(other.results.map(\.kind) == [.preconditionFailed] && other.bytes.isEmpty)
        let none = await get(client, GetRequest(key: ObjectKey("none")))
        #expect(none.results.map(\.kind) == [.notFound] && none.bytes.isEmpty)
        try await send("DELETE", key.bytes)
        try await send("DELETE", nil)
    }

    @Test func theCheckSaysWhatIsWrong() async throws {
        try await send("PUT", nil)
        func kind(_ client: S3Client) async -> SourceCheck.Problem.Kind? {
            do throws(SourceCheck.Problem) {
                _ = try await SourceCheck(client, prefix: Array("x/".utf8)).run()
                return nil
            } catch {
                #expect(!error.message.contains("minioadmim"))
                return error.kind
            }
        }
        #expect(await kind(try client()) == nil)
        #expect(await kind(try client(region: nil)) == nil)
        #expect(await kind(try client(bucket: bucket + "-none")) == .noSuchBucket)
        let id = credentials.accessKeyID
        #expect(
            await kind(try client(Credentials(accessKeyID: id, secretAccessKey: "minioadmim")))
                == .wrongSecret)
        #expect(
            await kind(
                try client(Credentials(accessKeyID: "nobody", secretAccessKey: "minioadmim")))
                == .wrongKeyID)
        #expect(await kind(try client(.anonymous)) == .cannotList)
        #expect(await kind(try client(endpoint: "http://127.0.0.1:1")) == .unreachable)
        #expect(
            await kind(
                try client(endpoint: live!.replacing("http://", with: "https://"))) == .tls)
        try await send("DELETE", nil)
    }
}

/// The status; 0 when there was no answer.
private final class StatusOnly: HTTPReceiver, Sendable {
    private let status = Mutex(0)
    private let then: @Sendable (Int) -> Void

    init(_ then: @escaping @Sendable (Int) -> Void) { self.then = then }
    func receive(head: HTTPResponseHead) { status.withLock { $0 = head.status } }
    func receive(body: UnsafeRawBufferPointer) -> Bool { true }
    func finish(_ result: Result<HTTPStatistics, HTTPTransportError>) {
        then(status.withLock { $0 })
    }
}

/// A collector that tells of its end.
final class Ending: GetReceiver, Sendable {
    private let collector: Collector
    private let then: @Sendable () -> Void

    init(_ collector: Collector, _ then: @escaping @Sendable () -> Void) {
        self.collector = collector
        self.then = then
    }

    func receive(head: ObjectHead) { collector.receive(head: head) }
    func receive(bytes: UnsafeRawBufferPointer, at offset: Int64) {
        collector.receive(bytes: bytes, at: offset)
    }
    func finish(_ result: Result<Void, StoreError>) {
        collector.finish(result)
        then()
    }
}
