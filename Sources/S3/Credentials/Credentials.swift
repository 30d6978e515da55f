// What signs requests, and the seam it comes through. A provider is a file of this folder.

/// An access key. Never prints its secret.
public struct Credentials: Hashable, Sendable {
    /// Empty for anonymous requests.
    public var accessKeyID: String
    public var secretAccessKey: String
    public var sessionToken: String?
    /// When they stop working, since 1970-01-01T00:00:00Z; nil for never (as far as is known).
    public var expiration: Duration?

    public init(
        accessKeyID: String, secretAccessKey: String, sessionToken: String? = nil,
        expiration: Duration? = nil
    ) {
        self.accessKeyID = accessKeyID
        self.secretAccessKey = secretAccessKey
        self.sessionToken = sessionToken
        self.expiration = expiration
    }

    /// Stands for requests without a signature.
    public static let anonymous = Credentials(accessKeyID: "", secretAccessKey: "")

    /// True when requests must not be signed.
    public var isAnonymous: Bool { accessKeyID.isEmpty }
}

extension Credentials: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The key id only.
    public var description: String { isAnonymous ? "anonymous" : accessKeyID }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [], displayStyle: .struct) }
}

/// Where credentials come from.
public protocol CredentialsProvider: Sendable {
    /// For "no credentials found": where it looks, one short line, e.g. "environment
    /// (AWS_ACCESS_KEY_ID)".
    var place: String { get }

    /// Answers once, on any thread, also the caller's. May read files; called from a scheduler.
    /// `.notFound` means that the next provider may be asked.
    func credentials(
        completion: @escaping @Sendable (Result<Credentials, CredentialsError>) -> Void)
}

/// Why there are no credentials.
public struct CredentialsError: Error, Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        /// Nothing there: the next provider may know.
        case notFound
        /// Something is there, but broken or refused: the chain ends here.
        case unusable
    }

    public var kind: Kind
    /// One line, with the mend, without secrets.
    public var message: String

    public init(kind: Kind, message: String) {
        self.kind = kind
        self.message = message
    }
}
