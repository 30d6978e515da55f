import S3
import Synchronization
import Testing
import Transport

/// The operations against a well-behaved server.
struct OperationTests {
    @Test func listsAPage() throws {
        let bench = try Bench { _, _ in
            .xml(
                200,
                """
                <?xml version="1.0" encoding="UTF-8"?>
                <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
                <Name>b</Name><Prefix>assets%2F</Prefix><KeyCount>2</KeyCount>
                <IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b=</NextContinuationToken>
                <Contents><Key>assets/a%2Bb+c%FF.png</Key>
                <LastModified>2009-10-12T17:50:30.123Z</LastModified>
                <ETag>&quot;fba9dede5f27731c9771645a39863328&quot;</ETag><Size>434234</Size>
                <StorageClass>GLACIER</StorageClass></Contents>
                <CommonPrefixes><Prefix>assets/%EA%B0%80/</Prefix></CommonPrefixes>
                <EncodingType>url</EncodingType></ListBucketResult>
                """)
        }
        let page = try bench.list(
            ListRequest(prefix: Array("assets/".utf8), startAfter: Array("a b".utf8))
        ).get()
        #expect(page.nextToken == "a&b=")
        #expect(page.commonPrefixes == [Array("assets/가/".utf8)])
        let object = try #require(page.objects.first)
        #expect(object.key.bytes == Array("assets/a+b c".utf8) + [0xFF] + Array(".png".utf8))
        #expect(object.size == 434234)
        #expect(object.etag.text == "fba9dede5f27731c9771645a39863328")
        #expect(object.modified == 1_255_369_830_123_000_000)
        #expect(object.storageClass.isArchived)
        #expect(
            bench.server.requests[0].url
                == "http://fake:9000/pail-bucket?delimiter=%2F&encoding-type=url&list-type=2"
                + "&max-keys=1000&prefix=assets%2F&start-after=a%20b")
        #expect(bench.clock.pendingTimers == 0)
    }

    /// The token, as the caller gets it early, and the page that it gets in the end.
    private func early(
        _ answer: @escaping @Sendable (HTTPRequest, Int) -> FakeAnswer
    ) throws -> (tokens: [String], page: ListPage) {
        let bench = try Bench(answer: answer)
        let tokens = Mutex<[String]>([])
        let page = try bench.wait { done in
            bench.client.list(
                ListRequest(prefix: []),
                onNext: { token in tokens.withLock { $0.append(token) } }, completion: done)
        }.get()
        return (tokens.withLock { $0 }, page)
    }

    private static func page(token: String, objects: Int) -> String {
        "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>\(token)"
            + "</NextContinuationToken>"
            + (0..<objects).map {
                "<Contents><Key>k\($0)</Key><LastModified>2009-10-12T17:50:30Z</LastModified>"
                    + "<ETag>&quot;e&quot;</ETag><Size>1</Size></Contents>"
            }.joined() + "</ListBucketResult>"
    }

    @Test func tellsEarlyWhereTheNextPageBegins() throws {
        // In pieces of every small size, so that the mark and the token are cut everywhere.
        for size in [1, 2, 3, 5, 7, 11, 24, 25, 1000, 100_000] {
            // Both a page that is read where it arrives and one that is read elsewhere.
            let objects = size < 100 ? 3 : 500
            let (tokens, page) = try early { _, _ in
                let text = Array(Self.page(token: "NN1/x=", objects: objects).utf8)
                return FakeAnswer(
                    chunks: stride(from: 0, to: text.count, by: size).map {
                        Array(text[$0..<min(text.count, $0 + size)])
                    })
            }
            #expect(tokens == ["NN1/x="], "pieces of \(size)")
            #expect(page.nextToken == "NN1/x=")
            #expect(page.objects.count == objects)
        }
    }

    @Test func tellsOfTheNextPageOnceAndOnlyWhatItReadsPlainly() throws {
        let again = try early { _, number in
            var answer = FakeAnswer.xml(200, Self.page(token: "t\(number)", objects: 3))
            if number == 0 { answer.failure = .connectionLost }
            return answer
        }
        #expect(again.tokens == ["t0"])
        #expect(again.page.nextToken == "t1", "the page itself decides")
        let entity = try early { _, _ in .xml(200, Self.page(token: "a&amp;b", objects: 3)) }
        #expect(entity.tokens.isEmpty)
        #expect(entity.page.nextToken == "a&b")
    }

    @Test func headsAnObject() throws {
        let bench = try Bench { _, _ in
            FakeAnswer(
                status: 200,
                headers: [
                    ("Content-Length", "12"), ("ETag", "\"abc\""), ("Content-Type", "image/png"),
                    ("Last-Modified", "Mon, 12 Oct 2009 17:50:00 GMT"),
                    ("X-Amz-Meta-MTime", "1.5"), ("x-amz-version-id", "v1"),
                    ("x-amz-storage-class", "GLACIER"),
                    ("x-amz-restore", "ongoing-request=\"false\", expiry-date=\"x\""),
                ])
        }
        let head = try bench.head("a b/ü").get()
        #expect(
            head
                == ObjectHead(
                    key: ObjectKey("a b/ü"), size: 12, etag: ETag("abc"),
                    modified: 1_255_369_800_000_000_000,
                    storageClass: StorageClass(rawValue: "GLACIER"), contentType: "image/png",
                    versionID: "v1", isRestored: true, metadata: ["mtime": "1.5"]))
        #expect(bench.server.requests[0].method == "HEAD")
        #expect(bench.server.requests[0].url == "http://fake:9000/pail-bucket/a%20b/%C3%BC")
    }

    @Test func getsARange() throws {
        let bench = try Bench { _, _ in
            FakeAnswer(
                status: 206,
                headers: [
                    ("content-length", "4"), ("content-range", "bytes 2-5/10"),
                    ("etag", "\"abc\""), ("last-modified", "Mon, 12 Oct 2009 17:50:00 GMT"),
                ], chunks: [[2, 3], [4, 5]])
        }
        let got = bench.get(GetRequest(key: ObjectKey("k"), range: 2..<6, ifMatch: ETag("abc")))
        #expect(got.orderly)
        #expect(got.bytes == [2, 3, 4, 5])
        #expect(got.head?.size == 10)
        #expect(got.results.count == 1)
        #expect(got.results.first?.kind == nil)
        let request = bench.server.requests[0]
        #expect(request.header("range") == "bytes=2-5")
        #expect(request.header("if-match") == "\"abc\"")
        #expect(
            request.header("authorization")?.hasPrefix("AWS4-HMAC-SHA256 Credential=AKID/") == true)
        #expect(bench.clock.pendingTimers == 0)
    }
}
