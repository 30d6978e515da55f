// HTTP as the S3 room needs it: a request in, status, headers and bytes out. Knows nothing of S3.
// The seam that lets tests play a server without a socket.

/// Performs HTTP requests. Calls return at once; the receiver is called on a transport thread.
public protocol HTTPTransport: AnyObject, Sendable {
    /// Starts a request. The transport keeps `receiver` until it has called `finish`.
    @discardableResult
    func start(_ request: HTTPRequest, receiver: any HTTPReceiver) -> any HTTPTask
}

/// A request under way.
public protocol HTTPTask: AnyObject, Sendable {
    /// Ends the request early: `finish` follows with `.cancelled`, unless it was called before.
    func cancel()
}

/// Takes one response. Called from one thread at a time; must not block.
public protocol HTTPReceiver: AnyObject, Sendable {
    /// The final response's status and headers (never a 1xx), before the body.
    func receive(head: HTTPResponseHead)
    /// The next bytes of the body; valid only during the call. Returning false gives the request up:
    /// `finish` follows with `.cancelled`.
    func receive(body: UnsafeRawBufferPointer) -> Bool
    /// Last call, exactly once. Success means a complete response was received.
    func finish(_ result: Result<HTTPStatistics, HTTPTransportError>)
}

/// A request: no redirect is followed, nothing is retried, nothing is decoded.
public struct HTTPRequest: Sendable {
    public var method: String
    /// Absolute, already encoded; sent as it is (no dot-segment is removed).
    public var url: String
    /// Sent in this order. An empty value sends an empty header.
    public var headers: [(name: String, value: String)]
    /// Sent as the body (PUT, POST); nil for none.
    public var body: [UInt8]?
    /// Sent as the body instead of `body`, read while it is sent.
    public var source: (any HTTPBodySource)?
    /// How long the server may be silent once it has the whole request, where that is more than the
    /// transport's `stallTime`: it may have work to do before it answers.
    public var answerTime: Duration?
    /// The request fails with `.timedOut` when it is not finished by then. Nil: no limit.
    public var timeout: Duration?
    /// Bytes of body the caller expects, a hint for socket buffers. 0 when unknown.
    public var expectedBody: Int64

    public init(
        method: String, url: String, headers: [(name: String, value: String)] = [],
        body: [UInt8]? = nil, source: (any HTTPBodySource)? = nil, answerTime: Duration? = nil,
        timeout: Duration? = nil, expectedBody: Int64 = 0
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.source = source
        self.answerTime = answerTime
        self.timeout = timeout
        self.expectedBody = expectedBody
    }

    /// Bytes of the request's body; nil when it has none.
    var bodySize: Int64? { source?.size ?? body.map { Int64($0.count) } }
}

/// A request's body that is read while it is sent.
public protocol HTTPBodySource: AnyObject, Sendable {
    /// Bytes.
    var size: Int64 { get }
    /// Copies `memory.count` bytes from `offset` on, never past the end. Called on the transport's
    /// thread, in order, but again from an earlier offset when libcurl has to send the body anew.
    /// Must not block.
    ///
    /// - Returns: false when the bytes cannot be had: the request ends with `.bodyUnreadable`.
    func read(at offset: Int64, into memory: UnsafeMutableRawBufferPointer) -> Bool
}

/// Status and headers of a response.
public struct HTTPResponseHead: Sendable {
    public var status: Int
    /// In the order received; values without surrounding white space.
    public var headers: [(name: String, value: String)]

    public init(status: Int, headers: [(name: String, value: String)]) {
        self.status = status
        self.headers = headers
    }

    /// The first header of that name, upper and lower case alike.
    public func first(_ name: String) -> String? {
        headers.first {
            $0.name.utf8.count == name.utf8.count && $0.name.lowercased() == name.lowercased()
        }?
        .value
    }
}

/// What a finished request took.
public struct HTTPStatistics: Sendable {
    /// From start to the first byte of the response, and to its end.
    public var firstByte: Duration
    public var total: Duration
    /// True when a connection was made for it.
    public var newConnection: Bool

    public init(firstByte: Duration, total: Duration, newConnection: Bool) {
        self.firstByte = firstByte
        self.total = total
        self.newConnection = newConnection
    }
}

/// Why no complete response came.
public struct HTTPTransportError: Error, Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        case nameNotResolved, connectFailed, connectionLost, bodyTooShort, timedOut, stalled
        /// The certificate is not trusted or is for another name.
        case certificate
        /// TLS broke otherwise.
        case tls
        /// The request's body source could not be read.
        case bodyUnreadable
        case cancelled, badURL, other
    }

    public var kind: Kind
    /// One line, from libcurl, without the URL's query.
    public var message: String

    public init(kind: Kind, message: String) {
        self.kind = kind
        self.message = message
    }
}
