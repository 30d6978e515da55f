// From an operation to a signed HTTP request. Called anew for every attempt, as a signature holds
// its time. The hot path of small reads: no parsing, few strings.

internal import Transport

/// What one operation sends, before it is placed and signed.
struct RequestSpec: Sendable {
    var operation: String
    var method: String
    /// Nil addresses the bucket.
    var key: [UInt8]?
    /// Encoded, ordered, without `?`; see `QueryWriter`.
    var query: [UInt8] = []
    /// Sent, but not signed: a proxy may change them.
    var headers: [(name: String, value: String)] = []
    var expectedBody: Int64 = 0
    /// Signed with the request: names in lower case.
    var signedHeaders: [(name: String, value: String)] = []
    var body: RequestBody?
    /// How long the server may work before it answers, where that is more than usual.
    var answerTime: Duration?
    /// True for requests that need SSE-C's key, and for those that copy what is under it.
    var hasCustomerKey = false
    var copiesCustomerKey = false
}

/// What a request carries.
enum RequestBody: Sendable {
    /// Covered by the signature.
    case bytes([UInt8])
    /// Sent as it is read; what it should be is said in headers.
    case stream(any HTTPBodySource)
}

/// Where requests go now; changes when a redirect or a region is learnt.
struct Place: Hashable, Sendable {
    var endpoint: Endpoint
    var region: String
}

/// Signs and writes requests.
struct RequestBuilder: Sendable {
    let signer = Signer()
    var requesterPays: Bool
    var encryption: Encryption = .none

    /// - Parameters:
    ///   - time: the server's wall-clock time, seconds since 1970.
    func build(
        _ spec: RequestSpec, at place: Place, credentials: Credentials, time: Int64
    ) -> HTTPRequest {
        let path = Self.path(of: spec.key, at: place.endpoint)
        var headers: [(name: String, value: String)] = []
        headers.reserveCapacity(8 + spec.headers.count + spec.signedHeaders.count)
        let isSigned = !credentials.isAnonymous
        let payload: PayloadHash =
            switch spec.body {
            case nil: .empty
            case .bytes(let bytes): isSigned ? .hashing(bytes) : .unsigned
            case .stream: .unsigned
            }
        let date = Dates.amz(time)
        if isSigned {
            headers.append(("host", place.endpoint.authority))
            headers.append(("x-amz-content-sha256", payload.header))
            headers.append(("x-amz-date", date))
        }
        if requesterPays { headers.append(("x-amz-request-payer", "requester")) }
        if isSigned, let token = credentials.sessionToken {
            headers.append(("x-amz-security-token", token))
        }
        addMore(spec, to: &headers)
        if isSigned {
            let authorization = signer.authorization(
                for: SignableRequest(
                    method: spec.method, path: path, query: spec.query, headers: headers,
                    payload: payload),
                credentials: credentials, region: place.region, amzDate: date)
            // The transport writes Host itself, from the URL.
            let host = headers.firstIndex { $0.name == "host" }!
            headers[host] = ("Authorization", authorization)
        }
        headers.append(contentsOf: spec.headers)
        var request = HTTPRequest(
            method: spec.method, url: Self.url(place.endpoint, path: path, query: spec.query),
            headers: headers, answerTime: spec.answerTime, expectedBody: spec.expectedBody)
        switch spec.body {
        case nil: break
        case .bytes(let bytes): request.body = bytes
        case .stream(let source): request.source = source
        }
        return request
    }

    /// Adds what the operation wants signed, and puts all in the order of signatures.
    private func addMore(_ spec: RequestSpec, to headers: inout [(name: String, value: String)]) {
        let isPlain =
            encryption.customerKey == nil || !(spec.hasCustomerKey || spec.copiesCustomerKey)
        if spec.signedHeaders.isEmpty && isPlain { return }
        for (name, value) in spec.signedHeaders {
            headers.append((name, Headers.collapsed(value)))
        }
        if let key = encryption.customerKey {
            if spec.hasCustomerKey { headers += key.headers("x-amz-") }
            if spec.copiesCustomerKey { headers += key.headers("x-amz-copy-source-") }
        }
        headers.sort { $0.name < $1.name }
    }

    /// The encoded path of a key, or of the bucket.
    static func path(of key: [UInt8]?, at endpoint: Endpoint) -> [UInt8] {
        guard let key else {
            return endpoint.pathPrefix.isEmpty ? [0x2F] : endpoint.pathPrefix
        }
        var path: [UInt8] = []
        path.reserveCapacity(endpoint.pathPrefix.count + 1 + key.count + key.count / 4)
        path.append(contentsOf: endpoint.pathPrefix)
        path.append(0x2F)
        PercentEncoding.append(key, keepsSlash: true, to: &path)
        return path
    }

    static func url(_ endpoint: Endpoint, path: [UInt8], query: [UInt8]) -> String {
        var url: [UInt8] = []
        url.reserveCapacity(16 + endpoint.authority.utf8.count + path.count + query.count)
        url.append(endpoint.isTLS ? "https://" as StaticString : "http://")
        url.append(endpoint.authority)
        url.append(contentsOf: path)
        if !query.isEmpty {
            url.append(0x3F)
            url.append(contentsOf: query)
        }
        return String(decoding: url, as: UTF8.self)
    }
}

/// Writes an encoded query. Names must be given in order: SigV4 signs them ordered.
struct QueryWriter {
    private(set) var bytes: [UInt8] = []

    mutating func add(_ name: StaticString, _ value: [UInt8]) {
        if !bytes.isEmpty { bytes.append(0x26) }
        bytes.append(name)
        bytes.append(0x3D)
        PercentEncoding.append(value, keepsSlash: false, to: &bytes)
    }

    mutating func add(_ name: StaticString, _ value: String) { add(name, Array(value.utf8)) }
}
