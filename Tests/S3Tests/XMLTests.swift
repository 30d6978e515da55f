import Testing

@testable import S3

private let head = "<?xml version=\"1.0\"?>"

private func listing(_ inner: String) -> String {
    head + "<ListBucketResult><IsTruncated>false</IsTruncated>\(inner)</ListBucketResult>"
}

/// What a hostile or broken server may send for a listing.
struct XMLTests {
    private static let laughs =
        "<?xml version=\"1.0\"?><!DOCTYPE lolz [<!ENTITY lol \"lol\"><!ENTITY a "
        + "\"&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;\">]>"
        + "<ListBucketResult><Prefix>&a;</Prefix></ListBucketResult>"

    @Test(arguments: [
        laughs,
        head + "<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><ListBucketResult/>",
        listing("<Prefix>&undefined;</Prefix>"), listing("<Contents></Contents>"),
        listing("<Contents><Key>k</Key><Size>-1</Size></Contents>"),
        listing(
            "<Contents><Key>k</Key><Size>99999999999999999999</Size>"
                + "<LastModified>2009-10-12T17:50:30Z</LastModified></Contents>"),
        listing("<Contents><Key>k</Key><Size>1</Size><LastModified>x</LastModified></Contents>"),
        listing(
            "<EncodingType>url</EncodingType><CommonPrefixes><Prefix>%</Prefix></CommonPrefixes>"),
        listing(String(repeating: "<a>", count: 40) + String(repeating: "</a>", count: 40)),
        listing("<Prefix>" + String(repeating: "x", count: 70000) + "</Prefix>"),
        head + "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        head + "<html><body>hello</body></html>", "not xml", "",
        String(listing("<Prefix>p</Prefix>").dropLast(4)),
        listing("") + "<more/>", "\u{0}\u{1}\u{2}",
    ])
    func isRefused(text: String) throws {
        let bench = try Bench { _, _ in .xml(200, text) }
        #expect(try bench.list().kind == .malformedResponse)
        #expect(bench.server.requests.count == 3)
    }

    @Test func anErrorUnder200IsAnError() throws {
        let bench = try Bench { _, number in
            number == 0 ? .error(200, "InternalError") : .xml(200, listing(""))
        }
        #expect(try bench.list().kind == nil)
        #expect(bench.server.requests.count == 2)
        let denied = try Bench { _, _ in .error(200, "AccessDenied") }
        #expect(try denied.list().kind == .accessDenied)
    }

    @Test func endlessXMLIsCutOff() throws {
        let piece = Array(String(repeating: "<a>x</a>", count: 1 << 16).utf8)
        let bench = try Bench { _, _ in
            var answer = FakeAnswer.xml(200, "<ListBucketResult>")
            answer.chunks += [[UInt8]](repeating: piece, count: 100)
            return answer
        }
        #expect(try bench.list().kind == .malformedResponse)
        let bodies = bench.observer.records.withLock { $0.map(\.bytes) }
        #expect(bodies.allSatisfy { $0 < 18 << 20 })
    }

    @Test func endlessErrorsAreCutOff() throws {
        let bench = try Bench { _, _ in
            FakeAnswer(
                status: 404, headers: [],
                chunks: [[UInt8]](
                    repeating: Array("<p>".utf8) + [UInt8](repeating: 32, count: 9000), count: 500))
        }
        let got = bench.get(GetRequest(key: ObjectKey("k")))
        #expect(got.results.map(\.kind) == [.notFound])
        #expect(bench.observer.records.withLock { $0[0].bytes } < 100_000)
    }

    @Test func anErrorPageOfAProxyIsNoData() throws {
        let bench = try Bench { _, _ in .xml(403, "<html>go & away</html>") }
        let got = bench.get(GetRequest(key: ObjectKey("k")))
        #expect(got.results.map(\.kind) == [.accessDenied] && got.bytes.isEmpty)
    }

    @Test func everyByteOfAKeyComesBack() throws {
        let keys = (1...255).map { [UInt8($0)] + Array("/x".utf8) }
        let inner = keys.map { key in
            "<Contents><Key>"
                + String(decoding: PercentEncoding.encode(key, keepsSlash: true), as: UTF8.self)
                + "</Key><Size>1</Size><LastModified>2009-10-12T17:50:30Z</LastModified>"
                + "<ETag>e</ETag></Contents>"
        }.joined()
        let text = Array(listing(inner + "<EncodingType>url</EncodingType>").utf8)
        // One byte at a time: the parser must not care where the network cuts.
        let bench = try Bench { _, _ in FakeAnswer(chunks: text.map { [$0] }) }
        #expect(try bench.list().get().objects.map(\.key.bytes) == keys)
    }

    @Test func withoutURLEncodingNothingIsDecoded() throws {
        let bench = try Bench { _, _ in
            .xml(200, listing("<CommonPrefixes><Prefix>a%20+b/</Prefix></CommonPrefixes>"))
        }
        #expect(try bench.list().get().commonPrefixes == [Array("a%20+b/".utf8)])
    }

    @Test func rawBytesOfAKeyComeBackToo() throws {
        let raw = Array("가é".utf8) + Array(UInt8(0x80)...0xFF) + Array("-&amp;&#44032;".utf8)
        let text =
            Array((head + "<ListBucketResult><CommonPrefixes><Prefix>").utf8) + raw
            + Array("</Prefix></CommonPrefixes></ListBucketResult>".utf8)
        let expected = Array("가é".utf8) + Array(UInt8(0x80)...0xFF) + Array("-&가".utf8)
        for cut in [text.map { [$0] }, [text]] {
            let bench = try Bench { _, _ in FakeAnswer(chunks: cut) }
            #expect(try bench.list().get().commonPrefixes == [expected])
        }
    }

    @Test func serverWordsAreOneLineWithoutControls() {
        let line = ErrorTable.oneLine("a\nb\r\u{1B}[31m" + String(repeating: "x", count: 999))
        #expect(!line.contains("\n") && !line.contains("\u{1B}") && line.count < 320)
    }
}
