// What goes over a control socket: one JSON object for each line, a request from the client, then
// answers from the daemon, the last of which is not `progress`.
//
// Lines are bounded (`most...Bytes`); fields that are not known are ignored, a version that is not
// known is refused.

/// What a client asks.
public struct ControlRequest: Codable, Sendable, Equatable {
    public static let currentVersion = 1
    /// A line that is longer is refused.
    public static let mostBytes = 256 << 10

    public var version = currentVersion
    /// Whom it is meant for: an absolute path.
    public var mountpoint: String
    /// `flush`, `pending`, `retry`, `save` or `discard`.
    public var command: String
    /// How long to wait, in seconds.
    public var timeout: Double?
    /// Of a list, how many to leave out.
    public var skip: Int?
    /// Absolute.
    public var directory: String?
    public var file: ControlFile?

    public init(mountpoint: String, command: String) {
        self.mountpoint = mountpoint
        self.command = command
    }
}

/// A file that is not in the bucket yet.
public struct ControlFile: Codable, Sendable, Equatable {
    public var id: String
    /// Below the mountpoint; bytes, as names need not be UTF-8.
    public var path: [UInt8]
    /// Bytes.
    public var size: Int64
    /// `open`, `waiting` or `failed`.
    public var state: String
    public var problem: String?
    /// Seconds since 1970.
    public var since: Double?

    public init(
        id: String, path: [UInt8], size: Int64, state: String, problem: String?, since: Double?
    ) {
        self.id = id
        self.path = path
        self.size = size
        self.state = state
        self.problem = problem
        self.since = since
    }
}

/// What the daemon answers.
public struct ControlAnswer: Codable, Sendable, Equatable {
    /// A line that is longer is not read.
    public static let mostBytes = 8 << 20

    public enum Kind: String, Codable, Sendable {
        /// More follows.
        case progress
        case done
        /// Not done; `problems` say why.
        case failed
    }

    public var version = ControlRequest.currentVersion
    public var kind: Kind
    /// One line each.
    public var problems: [String]?
    /// What is not in the bucket yet.
    public var filesLeft: Int?
    public var bytesLeft: Int64?
    public var files: [ControlFile]?
    /// There are more files behind these.
    public var hasMore: Bool?

    public init(_ kind: Kind, problems: [String]? = nil) {
        self.kind = kind
        self.problems = problems
    }
}
