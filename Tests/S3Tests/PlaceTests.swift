import Testing
import Transport

@testable import S3

/// URLs, addressing styles, regions, redirects.
struct PlaceTests {
    private static let amazon = "https://s3.eu-west-1.amazonaws.com"

    @Test(arguments: [
        (S3Source(bucket: "my-bucket"), "https://my-bucket.s3.eu-west-1.amazonaws.com/k"),
        (S3Source(bucket: "my.bucket"), "\(amazon)/my.bucket/k"),
        (S3Source(bucket: "my.bucket", addressing: .virtualHosted), "\(amazon)/my.bucket/k"),
        (S3Source(bucket: "My_Bucket"), "\(amazon)/My_Bucket/k"),
        (S3Source(bucket: "b", addressing: .path), "\(amazon)/b/k"),
        (S3Source(bucket: "b", endpointURL: "http://127.0.0.1:7480"), "http://127.0.0.1:7480/b/k"),
        (S3Source(bucket: "b", endpointURL: "http://[::1]:7480/"), "http://[::1]:7480/b/k"),
        (S3Source(bucket: "b", endpointURL: "localhost"), "https://localhost/b/k"),
        (
            S3Source(bucket: "b", endpointURL: "HTTPS://Host.Example:443/"),
            "https://host.example/b/k"
        ),
        (
            S3Source(bucket: "b", endpointURL: "http://h:80/base path/x/"),
            "http://h/base%20path/x/b/k"
        ),
        (S3Source(bucket: "b", endpointURL: "https://h/a%2Bb"), "https://h/a%2Bb/b/k"),
        (
            S3Source(bucket: "b.c", endpointURL: "http://h:81", addressing: .virtualHosted),
            "http://b.c.h:81/k"
        ),
        (
            S3Source(bucket: "b", endpointURL: "https://h", addressing: .virtualHosted),
            "https://b.h/k"
        ),
    ])
    func writesURLs(source: S3Source, url: String) throws {
        var source = source
        source.region = "eu-west-1"
        let bench = try Bench(source: source) { _, _ in FakeAnswer(status: 404) }
        #expect(bench.client.url(of: ObjectKey("k")) == url)
        _ = try bench.head("k")
        #expect(bench.server.requests[0].url == url)
    }

    @Test(arguments: [
        "ftp://h", "http://", "http://h:0", "http://h:99999", "http://h:x", "http://u:secret@h",
        "http://h/?q", "http://h/#f", "http://h/%zz", "http://[::1", "http://a b", "http://a:1:2",
        "",
    ])
    func refusesEndpoints(url: String) {
        let error = #expect(throws: SourceError.self) {
            try Endpoint.resolve(S3Source(bucket: "b", endpointURL: url), region: "r")
        }
        #expect(error?.message.contains("secret") == false)
    }

    @Test(arguments: ["", "a/b", "a b", "..", "ä", "a?b", "a\nb"])
    func refusesBuckets(bucket: String) {
        #expect(throws: SourceError.self) {
            try Endpoint.resolve(S3Source(bucket: bucket), region: "r")
        }
    }

    @Test(arguments: [
        ("a+b%c d", "a%2Bb%25c%20d"), ("a//b", "a//b"), ("/a", "/a"), ("./../a", "./../a"),
        ("가", "%EA%B0%80"), ("~-._", "~-._"), ("a?b#c&d=e", "a%3Fb%23c%26d%3De"),
        (
            "a\nb\"<>\\^`{|}!*'();:@$,[]",
            "a%0Ab%22%3C%3E%5C%5E%60%7B%7C%7D%21%2A%27%28%29%3B%3A%40%24%2C%5B%5D"
        ),
    ])
    func encodesKeys(key: String, path: String) throws {
        let bench = try Bench { _, _ in FakeAnswer(status: 404) }
        #expect(bench.client.url(of: ObjectKey(key)) == "http://fake:9000/pail-bucket/" + path)
    }

    @Test(arguments: [
        ("", "us-east-1" as String?), ("EU", "eu-west-1"), ("ap-northeast-2", "ap-northeast-2"),
        ("default", nil), ("evil.example/", nil), ("US", "us-east-1"),
    ])
    func readsLocations(constraint: String, region: String?) async throws {
        let text =
            "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\(constraint)"
            + "</LocationConstraint>"
        let bench = try Bench { _, _ in .xml(200, text) }
        let got = try bench.wait { bench.client.bucketLocation(completion: $0) }.get()
        #expect(RegionFinder.region(constraint: got) == region)
        #expect(bench.server.requests[0].url == "http://fake:9000/pail-bucket?location=")
    }

    private static func bucketIn(_ region: String, _ no: FakeAnswer)
        -> @Sendable (HTTPRequest, Int) -> FakeAnswer
    {
        { request, _ in
            request.header("authorization")!.contains("/\(region)/s3/")
                ? FakeAnswer(
                    headers: [
                        ("content-length", "1"), ("etag", "e"),
                        ("last-modified", "Mon, 12 Oct 2009 17:50:00 GMT"),
                    ]) : no
        }
    }

    @Test(arguments: [
        FakeAnswer(status: 301, headers: [("x-amz-bucket-region", "eu-central-1")]),
        FakeAnswer(status: 400, headers: [("x-amz-bucket-region", "eu-central-1")]),
        .error(400, "AuthorizationHeaderMalformed", "<Region>eu-central-1</Region>"),
        .error(307, "TemporaryRedirect", headers: [("x-amz-bucket-region", "eu-central-1")]),
    ])
    func followsAndRemembersTheRegion(no: FakeAnswer) throws {
        let bench = try Bench(
            source: S3Source(bucket: "b"), answer: Self.bucketIn("eu-central-1", no))
        // HEAD has no error body: those that name the region there are asked with GET.
        if no.chunks.isEmpty {
            #expect(try bench.head("k").kind == nil)
        } else {
            #expect(bench.get(GetRequest(key: ObjectKey("k"))).heads == 1)
        }
        #expect(bench.client.region == "eu-central-1")
        #expect(
            bench.server.requests.map(\.url).prefix(2) == [
                "https://b.s3.us-east-1.amazonaws.com/k",
                "https://b.s3.eu-central-1.amazonaws.com/k",
            ])
        let before = bench.server.requests.count
        #expect(try bench.head("k").kind == nil)
        #expect(bench.server.requests.count == before + 1)
    }

    @Test func followsAnEndpointOfAmazonOnly() throws {
        for (host, isFollowed) in [
            ("b.s3-eu-west-3.amazonaws.com", true), ("b.evil.example", false),
            ("b.evilamazonaws.com", false),
        ] {
            let bench = try Bench(source: S3Source(bucket: "b", region: "us-east-1")) {
                request, _ in
                request.url.hasPrefix("https://b.s3-eu-west-3.amazonaws.com/")
                    ? FakeAnswer(status: 404)
                    : .error(307, "TemporaryRedirect", "<Endpoint>\(host)</Endpoint>")
            }
            #expect(try bench.list().kind == (isFollowed ? .noSuchBucket : .wrongRegion))
            #expect(bench.server.requests.count == (isFollowed ? 2 : 1))
            #expect(bench.server.requests.allSatisfy { $0.url.hasPrefix("https://b.s3") })
        }
    }

    @Test func aCircleOfRedirectsEnds() throws {
        let bench = try Bench(source: S3Source(bucket: "b")) { request, number in
            FakeAnswer(
                status: 301, headers: [("x-amz-bucket-region", number % 2 == 0 ? "eu-a" : "eu-b")])
        }
        #expect(try bench.head("k").kind == .wrongRegion)
        #expect(bench.server.requests.count == 3)
    }

    @Test func aRegionIsNoHostName() throws {
        let bench = try Bench(source: S3Source(bucket: "b")) { _, _ in
            FakeAnswer(status: 301, headers: [("x-amz-bucket-region", "evil.example/x")])
        }
        #expect(try bench.head("k").kind == .wrongRegion)
        #expect(bench.server.requests.count == 1)
    }

    @Test func requesterPaysIsSignedAnonymousIsNot() throws {
        let payer = try Bench(source: S3Source(bucket: "b", requesterPays: true)) { _, _ in
            FakeAnswer(status: 404)
        }
        _ = try payer.head("k")
        #expect(payer.server.requests[0].header("x-amz-request-payer") == "requester")
        #expect(payer.server.requests[0].header("authorization")!.contains("x-amz-request-payer"))
        let nobody = try Bench(credentials: AnonymousCredentials()) { _, _ in
            FakeAnswer(status: 404)
        }
        _ = try nobody.head("k")
        #expect(nobody.server.requests[0].headers.isEmpty)
    }

    @Test func storeNamesAreTheSameForTheSameBucket() throws {
        func name(_ source: S3Source) throws -> String {
            try Bench(source: source) { _, _ in FakeAnswer() }.client.storeName
        }
        #expect(
            try name(S3Source(bucket: "b"))
                == name(S3Source(bucket: "b", region: "x", addressing: .path)))
        #expect(try name(S3Source(bucket: "b", endpointURL: "http://H:80/")) == "http://h/b")
    }
}
