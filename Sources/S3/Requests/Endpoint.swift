// From what the user wrote to scheme, host and path: endpoint URLs, addressing styles.
// Plain http only ever comes from an endpoint that the user wrote with http://.

/// The server and the addressing style, for one region.
struct Endpoint: Hashable, Sendable {
    var isTLS: Bool
    /// Lower case, with the port unless it is the scheme's own: the `Host` header.
    var authority: String
    /// Encoded, empty or beginning with `/`, not ending in one: before every key's `/`.
    var pathPrefix: [UInt8]
    /// True when the user named it.
    var isCustom: Bool

    /// `https://host[:port]`.
    var origin: String { (isTLS ? "https://" : "http://") + authority }

    /// Where `source` is, if it is in `region`.
    static func resolve(_ source: S3Source, region: String) throws(SourceError) -> Endpoint {
        try checkBucket(source.bucket)
        guard let url = source.endpointURL else {
            return place(
                source,
                Endpoint(
                    isTLS: true, authority: awsHost(region: region), pathPrefix: [],
                    isCustom: false))
        }
        return place(source, try parse(url))
    }

    /// The AWS endpoint of a region.
    static func awsHost(region: String) -> String {
        let suffix = region.hasPrefix("cn-") ? "amazonaws.com.cn" : "amazonaws.com"
        return "s3.\(region).\(suffix)"
    }

    private static func place(_ source: S3Source, _ server: Endpoint) -> Endpoint {
        var server = server
        let hasDots = source.bucket.utf8.contains(0x2E)
        let virtual: Bool
        switch source.addressing {
        case .path: virtual = false
        // A wildcard certificate covers one label only.
        case .virtualHosted: virtual = !(hasDots && server.isTLS)
        case .automatic:
            virtual = !server.isCustom && !hasDots && isHostLabel(source.bucket)
        }
        if virtual {
            server.authority = source.bucket + "." + server.authority
        } else {
            server.pathPrefix.append(0x2F)
            PercentEncoding.append(
                Array(source.bucket.utf8), keepsSlash: false, to: &server.pathPrefix)
        }
        return server
    }

    /// True when `bucket` may stand in a host name: old buckets have upper case or `_`.
    private static func isHostLabel(_ bucket: String) -> Bool {
        bucket.utf8.count <= 63
            && bucket.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D
            }
    }

    private static func checkBucket(_ bucket: String) throws(SourceError) {
        let isPlain = bucket.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
            // Access point ARNs and RGW's tenant:bucket.
            case 0x3A: true
            default: false
            }
        }
        guard !bucket.isEmpty, isPlain, bucket.utf8.count <= 255, bucket != ".", bucket != ".."
        else {
            throw SourceError(
                message: "bucket name \"\(ObjectKey(bucket))\" is not valid: "
                    + "use letters, digits, '-' and '.', as in my-bucket")
        }
    }

    /// The server of an endpoint URL; without a scheme, https.
    static func parse(_ url: String) throws(SourceError) -> Endpoint {
        func wrong(_ why: String) -> SourceError {
            SourceError(
                message: "endpoint URL \"\(redacted(url))\" \(why): "
                    + "write it as https://HOST[:PORT][/PATH]")
        }
        var rest = Substring(url)
        var isTLS = true
        if let end = rest.firstRange(of: "://") {
            switch rest[..<end.lowerBound].lowercased() {
            case "https": isTLS = true
            case "http": isTLS = false
            default: throw wrong("has an unknown scheme")
            }
            rest = rest[end.upperBound...]
        }
        guard !rest.contains(where: { $0 == "?" || $0 == "#" }) else {
            throw wrong("has a query or fragment")
        }
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        let authority = rest[..<slash].lowercased()
        guard !authority.contains("@") else { throw wrong("has a user name") }
        let path = rest[slash...]
        let host: Substring
        var port: Substring?
        if authority.hasPrefix("[") {
            guard let close = authority.firstIndex(of: "]") else { throw wrong("has no ']'") }
            host = authority[...close]
            let after = authority[authority.index(after: close)...]
            if after.hasPrefix(":") {
                port = after.dropFirst()
            } else if !after.isEmpty {
                throw wrong("has no valid host")
            }
        } else {
            let parts = authority.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count <= 2 else { throw wrong("has no valid host") }
            host = parts[0]
            port = parts.count == 2 ? parts[1] : nil
        }
        let isHost = host.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x5B, 0x5D, 0x3A: true
            default: false
            }
        }
        guard !host.isEmpty, isHost else { throw wrong("has no valid host") }
        var canonical = String(host)
        if let port, !port.isEmpty {
            guard let number = UInt16(port), number > 0 else { throw wrong("has no valid port") }
            if number != (isTLS ? 443 : 80) { canonical += ":\(number)" }
        }
        return Endpoint(
            isTLS: isTLS, authority: canonical, pathPrefix: try basePath(path, wrong),
            isCustom: true)
    }

    private static func basePath(
        _ path: Substring, _ wrong: (String) -> SourceError
    ) throws(SourceError) -> [UInt8] {
        guard let plain = PercentEncoding.decode(path.utf8, plusIsSpace: false) else {
            throw wrong("has a '%' that is no escape")
        }
        var prefix = PercentEncoding.encode(plain, keepsSlash: true)
        while prefix.last == 0x2F { prefix.removeLast() }
        return prefix
    }

    // A user name with a password may stand in what was meant as a URL.
    private static func redacted(_ url: String) -> String {
        guard let at = url.lastIndex(of: "@") else { return ObjectKey(url).description }
        return "…" + ObjectKey(String(url[at...])).description
    }
}

/// The source cannot be what was written.
public struct SourceError: Error, Hashable, Sendable, CustomStringConvertible {
    /// One line, with the mend.
    public var message: String
    public var description: String { message }
}
