// Credentials that are known beforehand.

/// Always the same credentials.
public struct StaticCredentials: CredentialsProvider {
    private let kept: Credentials
    public let place: String

    public init(_ credentials: Credentials, place: String = "given credentials") {
        kept = credentials
        self.place = place
    }

    public func credentials(
        completion: @escaping @Sendable (Result<Credentials, CredentialsError>) -> Void
    ) {
        completion(.success(kept))
    }
}

/// Requests without a signature, for public buckets.
public struct AnonymousCredentials: CredentialsProvider {
    public let place = "anonymous"

    public init() {}

    public func credentials(
        completion: @escaping @Sendable (Result<Credentials, CredentialsError>) -> Void
    ) {
        completion(.success(.anonymous))
    }
}
