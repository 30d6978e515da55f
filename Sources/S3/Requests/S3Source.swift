// What the user said about where the objects are, and the knobs of the client.

public import Logging

/// A bucket and how to reach it.
public struct S3Source: Hashable, Sendable {
    /// How the bucket stands in URLs.
    public enum Addressing: Hashable, Sendable {
        /// Virtual-hosted on AWS, path style on custom endpoints and for buckets with dots under TLS.
        case automatic
        case path
        case virtualHosted
    }

    public var bucket: String
    /// Nil: found out (see RegionFinder).
    public var region: String?
    /// `http[s]://HOST[:PORT][/BASE]`; nil for AWS.
    public var endpointURL: String?
    public var addressing: Addressing
    /// Sends `x-amz-request-payer: requester`.
    public var requesterPays: Bool

    public init(
        bucket: String, region: String? = nil, endpointURL: String? = nil,
        addressing: Addressing = .automatic, requesterPays: Bool = false
    ) {
        self.bucket = bucket
        self.region = region
        self.endpointURL = endpointURL
        self.addressing = addressing
        self.requesterPays = requesterPays
    }
}

/// The client's knobs.
public struct S3ClientConfiguration: Sendable {
    public var source: S3Source
    /// A list, head or other small operation fails when it is not answered by then, retries included.
    public var operationDeadline: Duration
    /// A GetObject fails when no new byte came for so long, retries included; an upload when no byte
    /// went for so long.
    public var progressDeadline: Duration
    /// A copy or the completion of a multipart upload fails when the server has not done it by then:
    /// it may have to move many GiB.
    public var workDeadline: Duration
    /// What goes with everything that is written.
    public var writing: WriteOptions
    public var retry: RetryPolicy
    /// Called for each finished attempt; must not block.
    public var observer: (any RequestObserver)?
    public var logger: Logger

    public init(
        source: S3Source, operationDeadline: Duration = .seconds(60),
        progressDeadline: Duration = .seconds(60), workDeadline: Duration = .seconds(600),
        writing: WriteOptions = WriteOptions(), retry: RetryPolicy = RetryPolicy(),
        observer: (any RequestObserver)? = nil, logger: Logger = Logger(label: "pail.s3")
    ) {
        self.source = source
        self.operationDeadline = operationDeadline
        self.progressDeadline = progressDeadline
        self.workDeadline = workDeadline
        self.writing = writing
        self.retry = retry
        self.observer = observer
        self.logger = logger
    }
}

/// One finished attempt of a request.
public struct RequestRecord: Sendable {
    /// "GetObject", "ListObjectsV2", ...
    public var operation: String
    /// 1 for the first.
    public var attempt: Int
    /// Nil when no answer came.
    public var status: Int?
    /// Bytes of body received.
    public var bytes: Int64
    public var duration: Duration
    /// What was wrong with the attempt; nil when it was good.
    public var error: StoreError?
    /// True when another attempt follows.
    public var isRetried: Bool
}

/// Counts requests: metrics, tests, `--debug-http`.
public protocol RequestObserver: Sendable {
    /// Called on a transport thread after each attempt. Must not block.
    func requestFinished(_ record: RequestRecord)
}
