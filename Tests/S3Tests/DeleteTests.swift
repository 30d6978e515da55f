import Synchronization
import Testing
import Transport

@testable import S3

/// DeleteObject, DeleteObjects, and the probe, which deletes what it made.
struct DeleteTests {
    private func delete(_ bench: Bench, _ keys: [ObjectKey]) throws
        -> Result<[ObjectKey: StoreError], StoreError>
    {
        try bench.wait { done in bench.client.delete(keys, completion: done) }
    }

    @Test func keysAreEscapedForXML() {
        let key = Array("a&<>\"'\t\n\r\u{7F}\u{85}ü가".utf8)
        let text = XMLWriter.escaped(key).map { String(decoding: $0, as: UTF8.self) }
        #expect(text == "a&amp;&lt;&gt;&quot;&apos;&#9;&#10;&#13;&#127;&#133;ü가")
        for bytes in [[0x61, 0x01], [0xFF], [0xC3], [0xEF, 0xBF, 0xBE], [0x1F]] as [[UInt8]] {
            #expect(XMLWriter.escaped(bytes) == nil)
        }
    }

    @Test func whatIsNotConfirmedIsDeletedSingly() throws {
        let bench = try Bench { request, _ in
            guard request.method == "POST" else {
                return request.target == "/d"
                    ? .error(403, "AccessDenied") : FakeAnswer(status: 204)
            }
            return .xml(
                200,
                "<DeleteResult><Deleted><Key>a&amp;&#13;</Key></Deleted>"
                    + "<Error><Key>b</Key><Code>AccessDenied</Code><Message>m</Message></Error>"
                    + "<Error><Key>c</Key><Code>InternalError</Code></Error>"
                    + "<Error><Key>other</Key><Code>AccessDenied</Code></Error></DeleteResult>")
        }
        let keys = ["a&\r", "b", "c", "d", "x\u{1}"].map { ObjectKey($0) }
        let failed = try delete(bench, keys).get()
        #expect(failed.mapValues(\.kind) == [keys[1]: .accessDenied, keys[3]: .accessDenied])
        let requests = bench.server.requests
        #expect(requests[0].target == "?delete=" && requests[0].method == "POST")
        #expect(
            requests[0].bodyText
                == "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                + ["a&amp;&#13;", "b", "c", "d"].map { "<Object><Key>\($0)</Key></Object>" }
                .joined()
                + "</Delete>")
        #expect(
            requests[0].header("content-md5") == Base64.encode(MD5.hash(requests[0].body!)))
        #expect(Set(requests.dropFirst().map(\.target)) == ["/c", "/d", "/x%01"])
    }

    @Test func aServerWithoutDeleteObjectsIsRemembered() throws {
        let bench = try Bench { request, _ in
            request.method == "POST" ? .error(501, "NotImplemented") : FakeAnswer(status: 204)
        }
        let keys = (0..<40).map { ObjectKey("k\($0)") }
        #expect(try delete(bench, keys).get().isEmpty)
        #expect(try delete(bench, keys).get().isEmpty)
        #expect(bench.server.requests.filter { $0.method == "POST" }.count == 1)
        #expect(bench.server.requests.filter { $0.method == "DELETE" }.count == 80)
    }

    @Test func whatIsNotThereIsDeleted() throws {
        let bench = try Bench { _, _ in .error(404, "NoSuchKey") }
        #expect(try bench.wait { bench.client.delete(ObjectKey("k"), completion: $0) }.kind == nil)
        #expect(try delete(bench, [ObjectKey("k")]).get().isEmpty)
        #expect(try delete(bench, []).get().isEmpty)
        #expect(bench.server.requests.allSatisfy { $0.method == "DELETE" })
    }

    @Test func cancelEndsAllOfThem() throws {
        let bench = try Bench { request, _ in
            request.method == "POST" ? .xml(200, "<R></R>") : FakeAnswer(hangs: true)
        }
        let answers = Answers<[ObjectKey: StoreError]>()
        let call = bench.client.delete((0..<40).map { ObjectKey("k\($0)") }) { result in
            answers.list.withLock { $0.append(result) }
        }
        bench.clock.runUntil { bench.server.requests.count > 5 }
        call.cancel()
        bench.clock.runAll()
        #expect(answers.list.withLock { $0.map(\.kind) } == [.cancelled])
    }

    // MARK: - Probe

    /// A bucket of one key at most that honours what it is told to.
    private final class OneKey: Sendable {
        struct State {
            var etag: String?
            var created = 0
            var keys: Set<String> = []
        }
        let state = Mutex(State())
        let honours: Set<String>
        init(_ honours: Set<String>) { self.honours = honours }

        func answer(_ request: HTTPRequest) -> FakeAnswer {
            state.withLock { state in
                let path = request.target.split(separator: "?")[0]
                state.keys.insert(String(path))
                if request.method == "DELETE" {
                    if !request.target.contains("?") { state.etag = nil }
                    return FakeAnswer(status: 204)
                }
                if request.target.hasSuffix("?uploads=") {
                    return .xml(200, "<R><UploadId>u</UploadId></R>")
                }
                if request.target.contains("partNumber") { return .wrote(request.body!) }
                let kind =
                    request.method == "POST"
                    ? "complete" : request.header("x-amz-copy-source") == nil ? "put" : "copy"
                let isRefused =
                    request.header("if-none-match") != nil && state.etag != nil
                    || request.header("if-match").map { $0 != state.etag } == true
                if honours.contains(kind), isRefused {
                    return .error(412, "PreconditionFailed")
                }
                state.created += 1
                state.etag = MD5.hash([]).hex
                return .xml(
                    200, "<R><ETag>\(state.etag!)</ETag></R>", [("ETag", "\"\(state.etag!)\"")])
            }
        }
    }

    @Test(arguments: [
        [], ["put"], ["put", "copy"], ["put", "complete"], ["put", "copy", "complete"],
    ])
    func findsOutAboutConditions(honours: [String]) throws {
        let bucket = OneKey(Set(honours))
        let bench = try Bench { request, _ in bucket.answer(request) }
        let found = try bench.wait { done in
            bench.client.probeWriting(under: Array("p/".utf8), completion: done)
        }.get()
        #expect(found.conditionalPut == honours.contains("put"))
        #expect(found.conditionalCopy == honours.contains("copy"))
        #expect(found.conditionalComplete == honours.contains("complete"))
        bucket.state.withLock { state in
            #expect(state.etag == nil, "left behind")
            #expect(state.keys.count == 1 && state.keys.first?.hasPrefix("/p/.pail-probe-") == true)
            if honours.isEmpty { #expect(state.created == 1) }
        }
    }

    @Test func aProbeThatMayNotWriteSaysSo() throws {
        let bench = try Bench { _, _ in .error(403, "AccessDenied") }
        let result = try bench.wait { bench.client.probeWriting(under: [], completion: $0) }
        #expect(result.kind == .accessDenied)
        #expect(bench.client.capabilities.conditionalPut == nil)
    }
}
