import Synchronization
import Testing
import Transport

@testable import S3

/// PutObject: what is sent, and whether it arrived.
struct PutTests {
    @Test func sendsHeadersSignedAndInOrder() throws {
        let bench = try Bench { request, _ in .wrote(request.readBody()!) }
        let headers = ObjectHeaders(
            contentType: "image/png", cacheControl: "max-age=60", contentEncoding: "gzip",
            contentDisposition: "inline", contentLanguage: "ko", expires: "0",
            storageClass: StorageClass(rawValue: "STANDARD_IA"),
            metadata: ["mtime": "1.5", "note": " two  words "])
        let written = try bench.put([1, 2, 3], key: "a b", headers: headers, .matches(ETag("e")))
            .get()
        #expect(written.etag.text == "5289df737df57326fcdd22597afb1fac")
        #expect(written.modified == 1_255_369_800_000_000_000)
        let request = bench.server.requests[0]
        #expect(request.method == "PUT" && request.target == "/a%20b")
        #expect(request.body == [1, 2, 3])
        let sent = [
            "content-type": "image/png", "cache-control": "max-age=60", "content-encoding": "gzip",
            "content-disposition": "inline", "content-language": "ko", "expires": "0",
            "x-amz-storage-class": "STANDARD_IA", "x-amz-meta-mtime": "1.5",
            "x-amz-meta-note": "two words", "if-match": "e",
            "x-amz-content-sha256":
                "039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81",
        ]
        for (name, value) in sent { #expect(request.header(name) == value, "\(name)") }
        let authorization = try #require(request.header("authorization"))
        let names = authorization.split(separator: "SignedHeaders=")[1].split(separator: ",")[0]
            .split(separator: ";").map(String.init)
        #expect(names == names.sorted())
        #expect(Set(sent.keys).isSubset(of: names))
        #expect(names.contains("host") && names.contains("x-amz-checksum-crc32c"))
    }

    @Test func learnsThatThereAreNoChecksumsAndComparesMD5() throws {
        let large = MemoryBody.pattern(200_000)
        let bench = try Bench { request, _ in .wrote(request.readBody()!) }
        #expect(bench.client.capabilities.checksums == nil)
        #expect(try bench.put(large).kind == nil)
        #expect(bench.server.requests[0].header("x-amz-checksum-crc32c") != nil)
        #expect(bench.server.requests[0].header("x-amz-content-sha256") == "UNSIGNED-PAYLOAD")
        #expect(bench.client.capabilities.checksums == false)
        #expect(try bench.put(large).kind == nil)
        #expect(bench.server.requests[1].header("x-amz-checksum-crc32c") == nil)
        #expect(bench.server.requests[1].header("content-md5") == nil)
    }

    @Test func usesChecksumsOnceTheyAreEchoed() throws {
        let bench = try Bench { request, _ in
            _ = request.readBody()
            // No MD5: only the checksum proves it.
            return FakeAnswer(
                status: 200,
                headers: [
                    ("ETag", "\"00000000000000000000000000000000\""),
                    ("x-amz-checksum-crc32c", request.header("x-amz-checksum-crc32c") ?? ""),
                ])
        }
        #expect(try bench.put(Array("123456789".utf8)).kind == nil)
        // The check value of CRC-32C: 0xE3069283.
        #expect(bench.server.requests[0].header("x-amz-checksum-crc32c") == "4waSgw==")
        #expect(bench.client.capabilities.checksums == true)
        #expect(try bench.put(MemoryBody.pattern(100_000)).kind == nil)
    }

    @Test(arguments: [10, 100_000])
    func damageIsSentAgainAndThenSaid(size: Int) throws {
        let bytes = MemoryBody.pattern(size)
        for isEcho in [false, true] {
            let once = try Bench { request, number in
                _ = request.readBody()
                if number > 0 { return .wrote(bytes) }
                return isEcho
                    ? .wrote(bytes, [("x-amz-checksum-crc32c", "AAAAAA==")]) : .wrote([0])
            }
            #expect(try once.put(bytes).kind == nil)
            #expect(once.server.requests.count == 2)
            let always = try Bench { request, number in
                _ = request.readBody()
                return isEcho
                    ? .wrote(bytes, [("x-amz-checksum-crc32c", "AAAAAA==")]) : .wrote([0])
            }
            #expect(try always.put(bytes).kind == .corrupted)
            #expect(always.server.requests.count == 3)
        }
    }

    @Test func hiddenETagsWantContentMD5() throws {
        let key = try #require(CustomerKey([UInt8](repeating: 7, count: 32)))
        for encryption in [Encryption.customer(key), .kms(keyID: "id", bucketKey: true)] {
            let bench = try Bench(writing: WriteOptions(encryption: encryption)) { request, _ in
                _ = request.readBody()
                return FakeAnswer(
                    status: 200, headers: [("ETag", "\"00000000000000000000000000000000\"")])
            }
            #expect(try bench.put([1]).kind == nil)
            #expect(try bench.put([1]).kind == nil)
            #expect(bench.server.requests[1].header("content-md5") == "VaVACK0bpYmqIQ0mKcHfQQ==")
        }
        // A server whose ETags are no MD5s.
        let odd = try Bench { request, _ in
            _ = request.readBody()
            return FakeAnswer(status: 200, headers: [("ETag", "\"v1\"")])
        }
        #expect(try odd.put([1]).kind == nil)
        #expect(try odd.put([1]).kind == nil)
        #expect(odd.server.requests[1].header("content-md5") == "VaVACK0bpYmqIQ0mKcHfQQ==")
    }

    @Test func optionsGoWithEveryWrite() throws {
        let options = WriteOptions(
            storageClass: StorageClass(rawValue: "GLACIER_IR"), acl: "bucket-owner-full-control",
            encryption: .kms(keyID: "arn:key", bucketKey: true),
            tags: [.init("a b", "c&d"), .init("e", "")])
        let bench = try Bench(writing: options) { request, _ in
            .xml(
                200,
                "<R><ETag>\"00000000000000000000000000000000\"</ETag><UploadId>u</UploadId></R>",
                [("ETag", "\"x\"")])
        }
        _ = try bench.put([])
        _ = try bench.wait { done in
            bench.client.copy(
                CopyRequest(
                    source: CopySource(key: ObjectKey("s"), etag: nil), key: ObjectKey("k")),
                completion: done)
        }
        _ = try bench.wait { done in
            bench.client.createUpload(ObjectKey("k"), headers: ObjectHeaders(), completion: done)
        }
        let requests = bench.server.requests
        #expect(requests.count == 3)
        for request in requests {
            #expect(request.header("x-amz-storage-class") == "GLACIER_IR")
            #expect(request.header("x-amz-acl") == "bucket-owner-full-control")
            #expect(request.header("x-amz-server-side-encryption") == "aws:kms")
            #expect(
                request.header("x-amz-server-side-encryption-aws-kms-key-id") == "arn:key")
            #expect(
                request.header("x-amz-server-side-encryption-bucket-key-enabled") == "true")
            #expect(request.header("x-amz-tagging") == "a%20b=c%26d&e=")
        }
        #expect(requests[1].header("x-amz-tagging-directive") == "REPLACE")
    }

    @Test func aCustomersKeyGoesWithReadsAndCopies() throws {
        let key = try #require(CustomerKey([UInt8](repeating: 7, count: 32)))
        #expect(!"\(key) \(WriteOptions(encryption: .customer(key)))".contains("BwcH"))
        let bench = try Bench(writing: WriteOptions(encryption: .customer(key))) { _, _ in
            FakeAnswer(status: 404)
        }
        _ = try bench.head("k")
        _ = bench.get(GetRequest(key: ObjectKey("k")))
        _ = try bench.put([1])
        _ = try bench.wait { done in
            bench.client.copyPart(
                MultipartUpload(key: ObjectKey("k"), id: "u"), number: 1,
                source: CopySource(key: ObjectKey("s"), etag: nil), range: 0..<9, completion: done)
        }
        _ = try bench.wait { done in bench.client.delete(ObjectKey("k"), completion: done) }
        let requests = bench.server.requests
        let name = "server-side-encryption-customer-key"
        for request in requests.prefix(4) {
            #expect(request.header("x-amz-" + name)?.hasPrefix("BwcH") == true)
            #expect(request.header("x-amz-" + name + "-md5") == "y4HAEFCYWuvAXWFTtA1Qpg==")
        }
        #expect(requests[3].header("x-amz-copy-source-" + name)?.hasPrefix("BwcH") == true)
        #expect(requests[4].header("x-amz-" + name) == nil)
    }

    @Test(arguments: [
        (507, "InsufficientStorage", StoreError.Kind.quotaExceeded), (507, "", .quotaExceeded),
        (403, "QuotaExceeded", .quotaExceeded), (400, "EntityTooLarge", .tooLarge),
        (501, "NotImplemented", .notImplemented), (501, "", .notImplemented),
        (404, "NoSuchUpload", .noSuchUpload), (404, "NoSuchBucket", .noSuchBucket),
    ])
    func knowsTheErrorsOfWrites(status: Int, code: String, kind: StoreError.Kind) throws {
        let bench = try Bench { _, _ in
            code.isEmpty ? FakeAnswer(status: status) : .error(status, code)
        }
        #expect(try bench.put([1]).kind == kind)
        #expect(bench.server.requests.count == 1)
    }

    @Test(arguments: [
        (409, "ConditionalRequestConflict", StoreError.Kind.conflict),
        (409, "OperationAborted", .conflict), (409, "", .conflict), (400, "BadDigest", .corrupted),
        (400, "XAmzContentSHA256Mismatch", .corrupted), (400, "InvalidDigest", .corrupted),
    ])
    func triesAFewTimes(status: Int, code: String, kind: StoreError.Kind) throws {
        let trouble = code.isEmpty ? FakeAnswer(status: status) : .error(status, code)
        let bench = try Bench { _, _ in trouble }
        #expect(try bench.put([1]).kind == kind)
        #expect(bench.server.requests.count == 3)
        let once = try Bench { request, number in
            number == 0 ? trouble : .wrote(request.readBody()!)
        }
        #expect(try once.put([1]).kind == nil)
    }

    @Test func aBodyThatCannotBeReadEndsTheCall() throws {
        let bench = try Bench { request, _ in
            request.readBody().map { .wrote($0) } ?? .failing(.bodyUnreadable)
        }
        for size in [100, 100_000] {
            for checksums in [true, false] {
                bench.client.learn { $0.checksums = checksums }
                let body = MemoryBody(MemoryBody.pattern(size), readableEnd: 50)
                let result = try bench.wait { done in
                    bench.client.put(
                        PutRequest(key: ObjectKey("k"), body: body, headers: ObjectHeaders()),
                        completion: done)
                }
                #expect(result.kind == .bodyUnreadable)
            }
        }
        #expect(bench.server.requests.count == 1)
    }

    @Test func ownWriteBehindALostAnswerIsSuccess() throws {
        let own = ("x-amz-meta-mtime", "1")
        let headers = ObjectHeaders(metadata: ["mtime": "1"])
        let abc = MD5.hash([1, 2, 3]).hex
        let cases: [(FakeAnswer, StoreError.Kind?)] = [
            (.head(abc, [own]), nil), (.head("v", [own]), .preconditionFailed),
            (.head(abc), .preconditionFailed), (.head(abc, size: 4, [own]), .preconditionFailed),
            (.head("v", [own, ("x-amz-checksum-crc32c", "8TDyHg==")]), nil),
            (.head(abc, [own, ("x-amz-checksum-crc32c", "8TDy7g==")]), .preconditionFailed),
            (FakeAnswer(status: 404), .preconditionFailed),
        ]
        for (found, kind) in cases {
            let bench = try Bench { request, number in
                if request.method == "HEAD" { return found }
                return number == 0 ? .failing(.connectionLost) : .error(412, "PreconditionFailed")
            }
            #expect(try bench.put([1, 2, 3], headers: headers, .absent).kind == kind, "\(found)")
            #expect(bench.server.requests.map(\.method) == ["PUT", "PUT", "HEAD"])
        }
        // Refused at once: nobody's write but another's.
        let refused = try Bench { _, _ in .error(412, "PreconditionFailed") }
        #expect(try refused.put([1], .absent).kind == .preconditionFailed)
        #expect(refused.server.requests.count == 1)
        let gone = try Bench { _, _ in .error(404, "NoSuchKey") }
        #expect(try gone.put([1], .matches(ETag("a"))).kind == .preconditionFailed)
    }

    @Test func anUploadThatMovesMayTakeLong() throws {
        let bytes = MemoryBody.pattern(300_000)
        let bench = try Bench { request, _ in .wrote(request.readBody()!) }
        bench.server.readsSlowly(pieces: 20, pause: .seconds(50))
        let start = bench.clock.now
        #expect(try bench.put(bytes).kind == nil)
        #expect(bench.clock.now - start >= .seconds(1000))
    }

    @Test func anUploadWithoutSuccessEnds() throws {
        // Each attempt takes the whole body, and fails.
        let bench = try Bench { request, _ in
            _ = request.readBody()
            return FakeAnswer(status: 503)
        }
        let start = bench.clock.now
        #expect(try bench.put(MemoryBody.pattern(100_000)).kind == .unavailable)
        #expect(bench.clock.now - start < .seconds(120))
        #expect(bench.server.requests.count > 8)
        let silent = try Bench { request, _ in
            _ = request.readBody()
            return FakeAnswer(hangs: true)
        }
        #expect(try silent.put(MemoryBody.pattern(100_000)).kind == .timedOut)
        #expect(silent.clock.now - .seconds(1000) <= .seconds(61))
    }

    @Test func cancelsInEveryPhase() throws {
        for phase in 0..<2 {
            let bench = try Bench { _, _ in FakeAnswer(hangs: true) }
            let answers = Answers<WrittenObject>()
            let call = bench.client.put(
                PutRequest(
                    key: ObjectKey("k"), body: MemoryBody(MemoryBody.pattern(100_000)),
                    headers: ObjectHeaders())
            ) { result in answers.list.withLock { $0.append(result) } }
            if phase == 1 { bench.clock.runUntil { !bench.server.requests.isEmpty } }
            call.cancel()
            bench.clock.runAll()
            #expect(answers.list.withLock { $0.map(\.kind) } == [.cancelled])
        }
    }
}
