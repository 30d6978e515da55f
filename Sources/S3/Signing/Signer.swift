// AWS Signature Version 4 for S3. Signs what it is given; never decides what to send.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
//
// Locks: SigningKeys' mutex, a leaf.

internal import Synchronization

/// What stands for the body in a signature.
enum PayloadHash {
    /// SHA-256 of the empty body.
    case empty
    /// The body is not covered: over TLS, which covers it.
    case unsigned
    /// Lower-case hexadecimal SHA-256 of the body.
    case sha256(String)

    /// The value of `x-amz-content-sha256`.
    var header: String {
        switch self {
        case .empty: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        case .unsigned: "UNSIGNED-PAYLOAD"
        case .sha256(let hex): hex
        }
    }

    static func hashing(_ body: [UInt8]) -> PayloadHash {
        var hex: [UInt8] = []
        hex.appendHex(SHA256.hash(body))
        return .sha256(String(decoding: hex, as: UTF8.self))
    }
}

/// A request as its signature sees it.
struct SignableRequest {
    var method: String
    /// Encoded path, beginning with `/`.
    var path: [UInt8]
    /// Encoded `name=value` pairs joined by `&`, ordered by name; without `?`.
    var query: [UInt8] = []
    /// Names in lower case, ordered; values without surrounding white space. Has `host`.
    var headers: [(name: String, value: String)]
    var payload: PayloadHash
}

/// Makes `Authorization` headers.
final class Signer: Sendable {
    private let keys = SigningKeys()

    /// The `Authorization` header for `request`.
    ///
    /// - Parameters:
    ///   - amzDate: the value of its `x-amz-date` (`20130524T000000Z`).
    func authorization(
        for request: SignableRequest, credentials: Credentials, region: String, amzDate: String
    ) -> String {
        let date = Array(amzDate.utf8)
        var scope: [UInt8] = []
        scope.reserveCapacity(48)
        scope.append(contentsOf: date.prefix(8))
        scope.append("/" as StaticString)
        scope.append(region)
        scope.append("/s3/aws4_request" as StaticString)

        var toSign: [UInt8] = []
        toSign.reserveCapacity(160)
        toSign.append("AWS4-HMAC-SHA256\n" as StaticString)
        toSign.append(contentsOf: date)
        toSign.append(0x0A)
        toSign.append(contentsOf: scope)
        toSign.append(0x0A)
        toSign.appendHex(SHA256.hash(Self.canonical(request)))

        let key = keys.key(
            secret: credentials.secretAccessKey, day: Array(date.prefix(8)), region: region)
        let signature = key.code(of: toSign)

        var header: [UInt8] = []
        header.reserveCapacity(320)
        header.append("AWS4-HMAC-SHA256 Credential=" as StaticString)
        header.append(credentials.accessKeyID)
        header.append(0x2F)
        header.append(contentsOf: scope)
        header.append(",SignedHeaders=" as StaticString)
        Self.appendNames(request.headers, to: &header)
        header.append(",Signature=" as StaticString)
        header.appendHex(signature)
        return String(decoding: header, as: UTF8.self)
    }

    /// The canonical request.
    static func canonical(_ request: SignableRequest) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(768 + request.path.count + request.query.count)
        text.append(request.method)
        text.append(0x0A)
        text.append(contentsOf: request.path)
        text.append(0x0A)
        text.append(contentsOf: request.query)
        text.append(0x0A)
        for (name, value) in request.headers {
            text.append(name)
            text.append(0x3A)
            text.append(value)
            text.append(0x0A)
        }
        text.append(0x0A)
        appendNames(request.headers, to: &text)
        text.append(0x0A)
        text.append(request.payload.header)
        return text
    }

    private static func appendNames(
        _ headers: [(name: String, value: String)], to text: inout [UInt8]
    ) {
        var isFirst = true
        for (name, _) in headers {
            if !isFirst { text.append(0x3B) }
            isFirst = false
            text.append(name)
        }
    }
}

/// The signing key of the day, kept: deriving it costs four HMACs.
final class SigningKeys: Sendable {
    private struct Kept {
        var secret: String
        var day: [UInt8]
        var region: String
        var key: HMACKey
    }

    private let kept = Mutex<Kept?>(nil)

    /// - Parameter day: eight digits, `20130524`.
    func key(secret: String, day: [UInt8], region: String) -> HMACKey {
        kept.withLock { kept in
            if let kept, kept.day == day, kept.region == region, kept.secret == secret {
                return kept.key
            }
            let key = HMACKey(Self.derive(secret: secret, day: day, region: region))
            kept = Kept(secret: secret, day: day, region: region, key: key)
            return key
        }
    }

    /// The key's bytes.
    static func derive(secret: String, day: [UInt8], region: String, service: String = "s3")
        -> [UInt8]
    {
        var key = HMACKey(Array("AWS4".utf8) + Array(secret.utf8)).code(of: day)
        for part in [region, service, "aws4_request"] {
            key = HMACKey(key).code(of: Array(part.utf8))
        }
        return key
    }
}
