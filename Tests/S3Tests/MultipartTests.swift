import Testing
import Transport

@testable import S3

/// Multipart uploads, copies and deletions: what is sent, and every answer that is no plain success.
struct MultipartTests {
    private let upload = MultipartUpload(key: ObjectKey("k"), id: "u/1")
    /// MD5s of "a" and "b".
    private let parts = [
        UploadedPart(
            number: 1, etag: ETag("0cc175b9c0f1b6a831c399e269772661"), size: 5 << 20,
            checksum: "crc32c:AAAAAA=="),
        UploadedPart(number: 2, etag: ETag("92eb5ffee6ae2fec3ad71c777531578f"), size: 1),
    ]
    /// Of both parts, by md5sum of the sixteen bytes of each.
    private let whole = "96e024ba2074fe77e8e965ba43a704be-2"

    private func completed(_ etag: String) -> String {
        "<?xml version=\"1.0\"?><CompleteMultipartUploadResult><ETag>\(etag)</ETag>"
            + "</CompleteMultipartUploadResult>"
    }

    @Test func theETagOfAnUploadIsThatOfItsParts() {
        #expect(S3Client.etag(of: parts)?.text == whole)
        #expect(S3Client.etag(of: [UploadedPart(number: 1, etag: ETag("x"), size: 1)]) == nil)
    }

    @Test func createsUploadsPartsAndCompletes() throws {
        let bench = try Bench { request, number in
            switch number {
            case 0:
                .xml(
                    200, "<R><UploadId>u/1</UploadId></R>", [("x-amz-checksum-algorithm", "CRC32C")]
                )
            case 1:
                .wrote(
                    request.readBody()!,
                    [("x-amz-checksum-crc32c", request.header("x-amz-checksum-crc32c")!)])
            default: .xml(200, completed("&quot;v-2&quot;"), [("x-amz-version-id", "9")])
            }
        }
        let created = try bench.wait { done in
            bench.client.createUpload(
                ObjectKey("k"), headers: ObjectHeaders(metadata: ["a": "b"]), completion: done)
        }.get()
        #expect(created == upload)
        let part = try bench.wait { done in
            bench.client.uploadPart(
                created, number: 7, body: MemoryBody(Array("123456789".utf8)), completion: done)
        }.get()
        #expect(part.checksum == "crc32c:4waSgw==" && part.number == 7 && part.size == 9)
        let written = try bench.complete(parts, .absent).get()
        #expect(written.etag.text == "v-2" && written.versionID == "9")
        let requests = bench.server.requests
        #expect(requests[0].target == "/k?uploads=" && requests[0].method == "POST")
        #expect(requests[0].header("x-amz-checksum-algorithm") == "CRC32C")
        #expect(requests[0].header("x-amz-meta-a") == "b")
        #expect(requests[1].target == "/k?partNumber=7&uploadId=u%2F1")
        #expect(requests[2].target == "/k?uploadId=u%2F1" && requests[2].method == "POST")
        #expect(requests[2].header("if-none-match") == "*")
        #expect(
            requests[2].bodyText
                == "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                + "<Part><ChecksumCRC32C>AAAAAA==</ChecksumCRC32C><ETag>&quot;"
                + "0cc175b9c0f1b6a831c399e269772661&quot;</ETag><PartNumber>1</PartNumber></Part>"
                + "<Part><ETag>&quot;92eb5ffee6ae2fec3ad71c777531578f&quot;</ETag>"
                + "<PartNumber>2</PartNumber></Part></CompleteMultipartUpload>")
        #expect(
            requests[2].header("content-md5") == Base64.encode(MD5.hash(requests[2].body!)))
    }

    @Test func keepAliveSpaceBeforeTheAnswerIsNone() throws {
        let bench = try Bench { _, _ in
            var answer = FakeAnswer(status: 200)
            answer.chunks = [[0x20], Array("\n \r\n".utf8), Array(completed("e-1").utf8)]
            answer.pace = .seconds(40)
            return answer
        }
        #expect(try bench.complete(parts).get().etag.text == "e-1")
        #expect(bench.server.requests[0].answerTime == .seconds(600))
    }

    @Test func anErrorUnder200IsAnError() throws {
        let bench = try Bench { _, number in
            number == 0
                ? .error(200, "InternalError") : .xml(200, completed("e-1"))
        }
        #expect(try bench.complete(parts).get().etag.text == "e-1")
        #expect(bench.server.requests.count == 2)
        let final = try Bench { _, _ in .error(200, "AccessDenied") }
        #expect(try final.complete(parts).kind == .accessDenied)
        let copy = try Bench { _, _ in .error(200, "NoSuchKey") }
        #expect(try copy.copy().kind == .notFound)
        let empty = try Bench { _, _ in FakeAnswer(status: 200) }
        #expect(try empty.complete(parts).kind == .malformedResponse)
    }

    @Test func anEmptyETagIsComputedOrAskedFor() throws {
        let bench = try Bench { request, _ in
            request.method == "HEAD" ? .head("asked-1") : .xml(200, completed(""))
        }
        #expect(try bench.complete(parts).get().etag.text == whole)
        #expect(bench.server.requests.count == 1)
        let hidden = [UploadedPart(number: 1, etag: ETag("x"), size: 1)]
        #expect(try bench.complete(hidden).get().etag.text == "asked-1")
    }

    @Test func aLostCompletionIsLookedFor() throws {
        for (found, kind) in [
            (FakeAnswer.head(whole), nil), (.head("other-2"), .noSuchUpload),
            (FakeAnswer(status: 404), .noSuchUpload),
        ] as [(FakeAnswer, StoreError.Kind?)] {
            let bench = try Bench { request, number in
                if request.method == "HEAD" { return found }
                return number == 0 ? .failing(.connectionLost) : .error(404, "NoSuchUpload")
            }
            let result = try bench.complete(parts)
            #expect(result.kind == kind)
            if kind == nil { #expect(try result.get().etag.text == whole) }
            #expect(bench.server.requests.map(\.method) == ["POST", "POST", "HEAD"])
        }
        let refused = try Bench { request, number in
            if request.method == "HEAD" { return .head(whole) }
            return number == 0 ? FakeAnswer(status: 500) : .error(412, "PreconditionFailed")
        }
        #expect(try refused.complete(parts, .absent).kind == nil)
        let atOnce = try Bench { _, _ in .error(412, "PreconditionFailed") }
        #expect(try atOnce.complete(parts, .absent).kind == .preconditionFailed)
        #expect(atOnce.server.requests.count == 1)
    }

    @Test func aCopysSourceIsEncodedByteForByte() throws {
        let bench = try Bench { _, _ in
            .xml(
                200,
                "<CopyObjectResult><LastModified>2009-10-12T17:50:30.123Z</LastModified>"
                    + "<ETag>\"e\"</ETag></CopyObjectResult>")
        }
        let source = ObjectKey((1...255).map { UInt8($0) })
        let written = try bench.wait { done in
            bench.client.copy(
                CopyRequest(
                    source: CopySource(key: source, etag: ETag("s")), key: ObjectKey("k"),
                    headers: ObjectHeaders(contentType: "a/b"), condition: .matches(ETag("t"))),
                completion: done)
        }.get()
        #expect(written == WrittenObject(etag: ETag("e"), modified: 1_255_369_830_123_000_000))
        let request = bench.server.requests[0]
        let text = try #require(request.header("x-amz-copy-source"))
        #expect(text.hasPrefix("pail-bucket/%01%02") && text.hasSuffix("%FE%FF"))
        #expect(
            PercentEncoding.decode(text.utf8.dropFirst(12), plusIsSpace: true) == source.bytes)
        #expect(request.header("x-amz-copy-source-if-match") == "\"s\"")
        #expect(request.header("if-match") == "t")
        #expect(request.header("x-amz-metadata-directive") == "REPLACE")
        #expect(request.header("content-type") == "a/b")
        #expect(try bench.copy().kind == nil)
        #expect(bench.server.requests[1].header("x-amz-metadata-directive") == "COPY")
    }

    @Test func copiesOfSomethingElseAreNoSuccess() throws {
        let other = "00000000000000000000000000000000"
        let bench = try Bench { request, _ in
            request.method == "HEAD"
                ? .head(other) : .xml(200, "<R><ETag>\"\(other)\"</ETag></R>")
        }
        #expect(
            try bench.copy(etag: "0cc175b9c0f1b6a831c399e269772661").kind == .preconditionFailed)
        #expect(try bench.copy(etag: other).kind == nil)
        for (etag, kind) in [("x-2", .preconditionFailed), (other, nil)]
            as [(String, StoreError.Kind?)]
        {
            let result = try bench.wait { done in
                bench.client.copyPart(
                    upload, number: 2, source: CopySource(key: ObjectKey("s"), etag: ETag(etag)),
                    range: 5..<10, completion: done)
            }
            #expect(result.kind == kind)
        }
        let request = bench.server.requests[2]
        #expect(request.target == "/k?partNumber=2&uploadId=u%2F1")
        #expect(request.header("x-amz-copy-source-range") == "bytes=5-9")
        #expect(bench.client.capabilities.partCopy == true)
    }

    @Test func aServerWithoutPartCopyIsRemembered() throws {
        let bench = try Bench { _, _ in .error(501, "NotImplemented") }
        let result = try bench.wait { done in
            bench.client.copyPart(
                upload, number: 2, source: CopySource(key: ObjectKey("s"), etag: nil),
                range: 5..<10, completion: done)
        }
        #expect(result.kind == .notImplemented)
        #expect(bench.client.capabilities.partCopy == false)
    }

    @Test func tooLargeCopiesAreToldFromOtherErrors() throws {
        let message =
            "<Error><Code>InvalidRequest</Code><Message>The specified copy source is larger than "
            + "the maximum allowable size for a copy source: 5368709120</Message></Error>"
        let bench = try Bench { _, _ in .xml(400, message) }
        #expect(try bench.copy().kind == .tooLarge)
        let other = try Bench { _, _ in .error(400, "InvalidRequest") }
        #expect(try other.copy().kind == .other)
    }

    @Test func listsPartsPageByPage() throws {
        let bench = try Bench { request, number in
            number == 0
                ? .xml(
                    200,
                    "<ListPartsResult><IsTruncated>true</IsTruncated>"
                        + "<NextPartNumberMarker>3</NextPartNumberMarker><Part><PartNumber>3"
                        + "</PartNumber><ETag>\"e\"</ETag><Size>9</Size><ChecksumCRC32C>x=="
                        + "</ChecksumCRC32C></Part></ListPartsResult>")
                : .xml(
                    200,
                    "<R><IsTruncated>false</IsTruncated><Part><PartNumber>5</PartNumber>"
                        + "<ETag>f</ETag></Part></R>")
        }
        let parts = try bench.wait { done in bench.client.listParts(upload, completion: done) }
            .get()
        #expect(
            parts == [
                UploadedPart(number: 3, etag: ETag("e"), size: 9, checksum: "crc32c:x=="),
                UploadedPart(number: 5, etag: ETag("f"), size: 0),
            ])
        #expect(
            bench.server.requests.map(\.target) == [
                "/k?uploadId=u%2F1", "/k?part-number-marker=3&uploadId=u%2F1",
            ])
    }

    @Test func whatIsGoneIsAborted() throws {
        for (answer, kind) in [
            (FakeAnswer(status: 204), nil), (.error(404, "NoSuchUpload"), nil),
            (.error(403, "AccessDenied"), .accessDenied),
        ] as [(FakeAnswer, StoreError.Kind?)] {
            let bench = try Bench { _, _ in answer }
            #expect(
                try bench.wait { bench.client.abortUpload(upload, completion: $0) }.kind == kind)
            #expect(bench.server.requests[0].method == "DELETE")
        }
    }
}

extension Bench {
    func copy(etag: String? = nil) throws -> Result<WrittenObject, StoreError> {
        try wait { done in
            client.copy(
                CopyRequest(
                    source: CopySource(key: ObjectKey("s"), etag: etag.map { ETag($0) }),
                    key: ObjectKey("k")), completion: done)
        }
    }
}
