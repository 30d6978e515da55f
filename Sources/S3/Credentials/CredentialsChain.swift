// Asks one provider after another.

/// The first provider that knows.
public struct CredentialsChain: CredentialsProvider {
    private let providers: [any CredentialsProvider]

    public init(_ providers: [any CredentialsProvider]) { self.providers = providers }

    /// What the AWS tools do, as far as it is built: environment, then the shared files. A profile
    /// named by option goes before the environment.
    public static func standard(environment: [String: String], profile: String? = nil)
        -> CredentialsChain
    {
        let files = SharedFileCredentials(SharedFiles(environment: environment, profile: profile))
        return profile == nil
            ? CredentialsChain([EnvironmentCredentials(environment), files])
            : CredentialsChain([files])
    }

    public var place: String { providers.map(\.place).joined(separator: "; ") }

    public func credentials(
        completion: @escaping @Sendable (Result<Credentials, CredentialsError>) -> Void
    ) {
        ask(providers[...], completion)
    }

    private func ask(
        _ rest: ArraySlice<any CredentialsProvider>,
        _ completion: @escaping @Sendable (Result<Credentials, CredentialsError>) -> Void
    ) {
        guard let first = rest.first else {
            return completion(
                .failure(
                    CredentialsError(
                        kind: .notFound,
                        message:
                            "no credentials found; looked in: \(place). Run aws configure, set "
                            + "the variables, give --credentials-csv FILE, or --no-sign-request for "
                            + "a public bucket")))
        }
        first.credentials { result in
            if case .failure(let error) = result, error.kind == .notFound {
                return ask(rest.dropFirst(), completion)
            }
            completion(result)
        }
    }
}
