import Testing

@testable import S3

/// The examples that AWS publishes.
/// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
struct SigningTests {
    private let credentials = Credentials(
        accessKeyID: "AKIAIOSFODNN7EXAMPLE",
        secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    private let host = "examplebucket.s3.amazonaws.com"

    private func signature(
        _ method: String, _ path: [UInt8], query: String = "",
        before: [(String, String)] = [], after: [(String, String)] = [],
        payload: PayloadHash = .empty
    ) -> String {
        var headers = before.filter { $0.0 < "host" }
        headers.append(("host", host))
        headers += before.filter { $0.0 > "host" }
        headers.append(("x-amz-content-sha256", payload.header))
        headers.append(("x-amz-date", "20130524T000000Z"))
        headers += after
        let text = Signer().authorization(
            for: SignableRequest(
                method: method, path: path, query: Array(query.utf8),
                headers: headers.map { (name: $0.0, value: $0.1) }, payload: payload),
            credentials: credentials, region: "us-east-1", amzDate: "20130524T000000Z")
        #expect(
            text.hasPrefix(
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
                    + "SignedHeaders=" + headers.map(\.0).joined(separator: ";") + ",Signature="))
        return String(text.suffix(64))
    }

    @Test func getsARange() {
        #expect(
            signature("GET", Array("/test.txt".utf8), before: [("range", "bytes=0-9")])
                == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
    }

    @Test func putsAnObject() {
        let path = [0x2F] + PercentEncoding.encode(Array("test$file.text".utf8), keepsSlash: true)
        #expect(String(decoding: path, as: UTF8.self) == "/test%24file.text")
        #expect(
            signature(
                "PUT", path, before: [("date", "Fri, 24 May 2013 00:00:00 GMT")],
                after: [("x-amz-storage-class", "REDUCED_REDUNDANCY")],
                payload: .hashing(Array("Welcome to Amazon S3.".utf8)))
                == "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")
    }

    @Test func getsTheLifecycle() {
        #expect(
            signature("GET", [0x2F], query: "lifecycle=")
                == "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")
    }

    @Test func lists() {
        #expect(
            signature("GET", [0x2F], query: "max-keys=2&prefix=J")
                == "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
    }

    @Test(arguments: [
        ("20120215", "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"),
        ("20150830", "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"),
    ])
    func derivesTheKey(day: String, expected: String) {
        var hex: [UInt8] = []
        hex.appendHex(
            SigningKeys.derive(
                secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", day: Array(day.utf8),
                region: "us-east-1", service: "iam"))
        #expect(String(decoding: hex, as: UTF8.self) == expected)
    }

    @Test func keepsNoKeyOfAnotherDayRegionOrSecret() {
        let keys = SigningKeys()
        let a = keys.key(secret: "a", day: Array("20130524".utf8), region: "r")
        #expect(keys.key(secret: "a", day: Array("20130524".utf8), region: "r") === a)
        #expect(keys.key(secret: "a", day: Array("20130525".utf8), region: "r") !== a)
        let b = keys.key(secret: "a", day: Array("20130525".utf8), region: "r")
        #expect(keys.key(secret: "b", day: Array("20130525".utf8), region: "r") !== b)
    }

    @Test func encodesEveryByte() {
        let unreserved = Set(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~".utf8)
        for byte in UInt8.min...UInt8.max {
            let text = String(
                decoding: PercentEncoding.encode([byte], keepsSlash: false), as: UTF8.self)
            if unreserved.contains(byte) {
                #expect(text == String(UnicodeScalar(byte)))
            } else {
                let hex = String(byte, radix: 16, uppercase: true)
                #expect(text == "%" + (hex.count == 1 ? "0" : "") + hex)
            }
            #expect(PercentEncoding.decode(Array(text.utf8), plusIsSpace: true) == [byte])
        }
        #expect(PercentEncoding.encode([0x2F], keepsSlash: true) == [0x2F])
        for broken in ["%", "%4", "%zz", "a%2"] {
            #expect(PercentEncoding.decode(Array(broken.utf8), plusIsSpace: true) == nil)
        }
    }

    @Test func neverPrintsTheSecret() {
        var text = ""
        dump(credentials, to: &text)
        text += "\(credentials) \(String(reflecting: credentials)) \([credentials])"
        #expect(!text.contains("wJalr"))
    }
}

struct DatesTests {
    @Test(arguments: [
        (0, "19700101T000000Z"), (1_369_353_600, "20130524T000000Z"),
        (951_827_696, "20000229T123456Z"), (4_107_542_399, "21000228T235959Z"),
        (-1, "19691231T235959Z"),
    ])
    func writesAmzDates(seconds: Int64, text: String) { #expect(Dates.amz(seconds) == text) }

    @Test(arguments: [
        ("Mon, 12 Oct 2009 17:50:00 GMT", 1_255_369_800 as Int64?),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("Mon, 12 Oct 2009 25:50:00 GMT", nil),
        ("Mon, 30 Feb 2009 17:50:00 GMT", nil), ("12 Oct 2009 17:50:00 GMT", nil), ("", nil),
        ("Mon, 12 Oct 99999 17:50:00 GMT", nil),
    ])
    func readsHTTPDates(text: String, seconds: Int64?) { #expect(Dates.http(text) == seconds) }

    @Test(arguments: [
        ("2009-10-12T17:50:30.000Z", 1_255_369_830_000_000_000 as Int64?),
        ("2009-10-12T17:50:30Z", 1_255_369_830_000_000_000),
        ("2009-10-12T17:50:30.123456789Z", 1_255_369_830_123_456_789),
        ("2009-10-12T17:50:30.Z", nil), ("2009-10-12 17:50:30Z", nil),
        ("2009-13-12T17:50:30Z", nil), ("2009-10-12T17:50:30.1x3Z", nil), ("", nil),
    ])
    func readsISODates(text: String, nanoseconds: Int64?) {
        #expect(Dates.iso8601(Array(text.utf8)) == nanoseconds)
    }

    @Test func readsWhatItWrites() {
        for day in stride(from: Int64(-90000), to: 90000, by: 17) {
            let seconds = day * 86400 + 86399 - (day & 1023)
            let amz = Dates.amz(seconds)
            let iso =
                amz.prefix(4) + "-" + amz.dropFirst(4).prefix(2) + "-" + amz.dropFirst(6).prefix(5)
                + ":" + amz.dropFirst(11).prefix(2) + ":" + amz.dropFirst(13)
            #expect(Dates.iso8601(Array(iso.utf8)) == seconds * 1_000_000_000)
        }
    }
}
