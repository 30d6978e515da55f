// ObjectStore over HTTP: the bucket's place, credentials and clock, and the operations.
//
// Never blocks: credentials files are read on the scheduler. Locks: `state`, a leaf.

internal import Logging
public import Scheduling
internal import Synchronization
public import Transport

/// A bucket of S3 or of a server like it.
public final class S3Client: ObjectStore {
    public let configuration: S3ClientConfiguration
    let transport: any HTTPTransport
    let scheduler: any Scheduler
    let credentials: ExpiringCredentials
    let builder: RequestBuilder
    var log: Logger { configuration.logger }
    private let state: Mutex<State>

    private struct State {
        var place: Place
        /// The server's clock minus ours.
        var clockOffset: Duration = .zero
        var capabilities = StoreCapabilities()
        var hidesETags = false
        var deletesMany = true
    }

    /// - Parameter credentials: asked on the scheduler, when they are needed first.
    /// - Throws: `SourceError` for a bucket or endpoint that cannot be.
    public init(
        configuration: S3ClientConfiguration, credentials: any CredentialsProvider,
        transport: any HTTPTransport, scheduler: any Scheduler
    ) throws(SourceError) {
        self.configuration = configuration
        self.transport = transport
        self.scheduler = scheduler
        self.credentials = ExpiringCredentials(credentials, scheduler: scheduler)
        let source = configuration.source
        builder = RequestBuilder(
            requesterPays: source.requesterPays, encryption: configuration.writing.encryption)
        let region = source.region ?? Self.defaultRegion
        let endpoint = try Endpoint.resolve(source, region: region)
        state = Mutex(State(place: Place(endpoint: endpoint, region: region)))
    }

    /// Where requests go while nobody knows better.
    static let defaultRegion = "us-east-1"

    /// The region that requests are signed for now.
    public var region: String { state.withLock { $0.place.region } }

    /// The server's clock minus the local one, as far as a request was refused for it; else zero.
    public var clockOffset: Duration { state.withLock { $0.clockOffset } }

    /// Names the bucket for the block store: the same for every way of reaching the same bucket of
    /// one endpoint, `https://s3.amazonaws.com/BUCKET` for AWS.
    public var storeName: String {
        let source = configuration.source
        guard let url = source.endpointURL, let server = try? Endpoint.parse(url) else {
            return "https://s3.amazonaws.com/" + source.bucket
        }
        return server.origin + String(decoding: server.pathPrefix, as: UTF8.self) + "/"
            + source.bucket
    }

    /// `https://host[:port]` that requests go to now.
    var serverName: String { state.withLock { $0.place.endpoint.origin } }

    /// Wall-clock time of this machine.
    var unixTime: Duration { scheduler.unixTime }

    /// Where to send a request now, and the server's time in seconds.
    func signingContext() -> (Place, Int64) {
        let (place, offset) = state.withLock { ($0.place, $0.clockOffset) }
        return (place, (scheduler.unixTime + offset).components.seconds)
    }

    // MARK: - Operations

    @discardableResult
    public func list(
        _ request: ListRequest,
        completion: @escaping @Sendable (Result<ListPage, StoreError>) -> Void
    ) -> any Cancellable {
        list(request, deadline: nil, completion: completion)
    }

    @discardableResult
    public func list(
        _ request: ListRequest, onNext: @escaping @Sendable (String) -> Void,
        completion: @escaping @Sendable (Result<ListPage, StoreError>) -> Void
    ) -> any Cancellable {
        perform(ListExchange(request, onNext: onNext, completion))
    }

    /// - Parameter deadline: instead of the configured one.
    @discardableResult
    func list(
        _ request: ListRequest, deadline: Duration?,
        completion: @escaping @Sendable (Result<ListPage, StoreError>) -> Void
    ) -> any Cancellable {
        perform(ListExchange(request, onNext: nil, completion), deadline)
    }

    @discardableResult
    public func head(
        _ key: ObjectKey,
        completion: @escaping @Sendable (Result<ObjectHead, StoreError>) -> Void
    ) -> any Cancellable {
        perform(HeadExchange(key, completion))
    }

    @discardableResult
    public func get(_ request: GetRequest, receiver: any GetReceiver) -> any Cancellable {
        start(Call(GetExchange(request, receiver), client: self, deadline: nil))
    }

    /// Answers with the bucket's region when the server names it (`x-amz-bucket-region`).
    @discardableResult
    func headBucket(
        deadline: Duration? = nil,
        completion: @escaping @Sendable (Result<String?, StoreError>) -> Void
    ) -> any Cancellable {
        perform(HeadBucketExchange(completion), deadline)
    }

    /// The bare answer of GetBucketLocation; empty for us-east-1.
    @discardableResult
    func bucketLocation(
        deadline: Duration? = nil,
        completion: @escaping @Sendable (Result<String, StoreError>) -> Void
    ) -> any Cancellable {
        perform(locationExchange(completion), deadline)
    }

    func perform(_ exchange: some Exchange, _ deadline: Duration? = nil) -> Call {
        let deadline = deadline ?? configuration.operationDeadline
        return start(Call(exchange, client: self, deadline: deadline))
    }

    /// Begins an operation whose body may take as long as bytes go.
    func upload(_ exchange: some Exchange) -> Call {
        start(Call(exchange, client: self, deadline: nil, isUpload: true))
    }

    private func start(_ call: Call) -> Call {
        call.start()
        return call
    }

    public func url(of key: ObjectKey) -> String {
        let endpoint = state.withLock { $0.place.endpoint }
        let path = RequestBuilder.path(of: key.bytes, at: endpoint)
        return RequestBuilder.url(endpoint, path: path, query: [])
    }

    // MARK: - What is learnt from answers

    public var capabilities: StoreCapabilities { state.withLock { $0.capabilities } }

    /// Remembers what the server has shown.
    func learn(_ change: (inout StoreCapabilities) -> Void) {
        state.withLock { change(&$0.capabilities) }
    }

    /// True when an ETag does not say anything of the bytes of a simple object.
    var hidesETags: Bool {
        configuration.writing.encryption.hidesETags || state.withLock { $0.hidesETags }
    }

    func learnThatETagsAreHidden() { state.withLock { $0.hidesETags = true } }

    /// False once the server has shown that it has no DeleteObjects.
    var deletesMany: Bool { state.withLock { $0.deletesMany } }

    func learnThatManyAreNotDeleted() { state.withLock { $0.deletesMany = false } }

    /// True for servers other than AWS, which may ignore conditions.
    var isCustom: Bool { state.withLock { $0.place.endpoint.isCustom } }

    /// Goes where the server says that the bucket is. False when that is nowhere new.
    func follow(_ server: ServerError, from place: Place) -> Bool {
        let source = configuration.source
        guard let next = Redirect.target(of: server, from: place, source: source) else {
            return false
        }
        let isNew = state.withLock { state in
            // Another call may have moved already.
            guard state.place != next else { return false }
            state.place = next
            return true
        }
        if isNew {
            log.notice(
                "bucket \(source.bucket) is in region \(next.region), at \(next.endpoint.origin)")
        }
        return true
    }

    /// Takes what was found out about the region.
    func adopt(region: String) {
        guard let endpoint = try? Endpoint.resolve(configuration.source, region: region) else {
            return
        }
        state.withLock { $0.place = Place(endpoint: endpoint, region: region) }
    }

    /// Remembers the server's clock. False when it is not off enough to matter.
    ///
    /// - Parameter isNamed: the server itself said that the clock is the cause.
    func correctClock(serverTime: Int64, isNamed: Bool) -> Bool {
        let offset = Duration.seconds(serverTime) - scheduler.unixTime
        let old = clockOffset
        // S3 allows 15 minutes; an unnamed refusal within less has another cause.
        let change = (offset - old).components.seconds.magnitude
        guard change >= (isNamed ? 1 : 14 * 60) else { return false }
        state.withLock { $0.clockOffset = offset }
        let minutes = (offset.components.seconds.magnitude + 30) / 60
        log.warning(
            """
            the local clock is \(minutes) min \(offset > .zero ? "slow" : "fast") against the \
            server's; requests are corrected, but set the clock (timedatectl set-ntp true)
            """)
        return true
    }
}
