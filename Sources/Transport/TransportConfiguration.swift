/// How a `CurlTransport` connects.
public struct TransportConfiguration: Sendable {
    /// Requests (and so connections) under way at once, all hosts together; more wait their turn.
    public var maxConnections = 64
    /// Threads that own sockets. A receiver holds up only the requests of its own thread.
    public var threads = 1
    /// The `User-Agent` header, e.g. "pail/1.0.0".
    public var userAgent: String
    /// A PEM file of certificates to trust instead of the system's.
    public var caBundle: String?
    /// Limit for name, TCP and TLS together; then `.connectFailed`.
    public var connectTimeout: Duration = .seconds(10)
    /// A request that moves fewer bytes per second than this for `stallTime` fails with `.stalled`.
    /// Waiting for the first byte of the answer counts too. 0 turns the check off.
    public var stallRate = 1024
    /// Whole seconds count; the least is one.
    public var stallTime: Duration = .seconds(20)
    /// Takes one line per event and header, without secrets and without bodies. Called on transport
    /// threads; must not block.
    public var debug: (@Sendable (String) -> Void)?

    public init(userAgent: String) {
        self.userAgent = userAgent
    }
}

extension Duration {
    /// Whole milliseconds, rounded up.
    var milliseconds: Int {
        let (seconds, attoseconds) = components
        let (whole, rest) = attoseconds.quotientAndRemainder(dividingBy: 1_000_000_000_000_000)
        return Int(clamping: seconds.multipliedReportingOverflow(by: 1000).partialValue)
            + Int(whole) + (rest > 0 ? 1 : 0)
    }
}
