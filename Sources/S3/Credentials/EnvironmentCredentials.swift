// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN.

/// Credentials from the environment, as the AWS tools read them.
public struct EnvironmentCredentials: CredentialsProvider {
    public let place = "environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)"
    private let environment: [String: String]

    public init(_ environment: [String: String]) { self.environment = environment }

    public func credentials(
        completion: @escaping @Sendable (Result<Credentials, CredentialsError>) -> Void
    ) {
        completion(Result { () throws(CredentialsError) in try read() })
    }

    private func read() throws(CredentialsError) -> Credentials {
        let id = environment["AWS_ACCESS_KEY_ID"] ?? ""
        let secret = environment["AWS_SECRET_ACCESS_KEY"] ?? ""
        switch (id.isEmpty, secret.isEmpty) {
        case (true, true):
            throw CredentialsError(kind: .notFound, message: "AWS_ACCESS_KEY_ID is not set")
        case (false, true):
            throw CredentialsError(
                kind: .unusable,
                message: "AWS_ACCESS_KEY_ID is set but AWS_SECRET_ACCESS_KEY is not: set both")
        case (true, false):
            throw CredentialsError(
                kind: .unusable,
                message: "AWS_SECRET_ACCESS_KEY is set but AWS_ACCESS_KEY_ID is not: set both")
        case (false, false): break
        }
        let token = environment["AWS_SESSION_TOKEN"] ?? environment["AWS_SECURITY_TOKEN"]
        return try Credentials(
            accessKeyID: id, secretAccessKey: secret,
            sessionToken: token.flatMap { $0.isEmpty ? nil : $0 }
        ).checked(place: "the environment")
    }
}

extension Credentials {
    /// These credentials, or an error when a line break or the like slipped in: it would end up in a
    /// header. The secret is never part of the message.
    func checked(place: String) throws(CredentialsError) -> Credentials {
        func isPlain(_ text: String) -> Bool { text.utf8.allSatisfy { (0x21...0x7E).contains($0) } }
        let parts = [
            (accessKeyID, "access key id"), (secretAccessKey, "secret access key"),
            (sessionToken ?? "x", "session token"),
        ]
        for (value, name) in parts where value.isEmpty || !isPlain(value) {
            throw CredentialsError(
                kind: .unusable,
                message: "the \(name) from \(place) is empty or has a character that no key has "
                    + "(white space, line break): copy it again")
        }
        return self
    }
}
