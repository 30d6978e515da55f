// ~/.aws/credentials and ~/.aws/config: keys and region of one profile.
// Source: https://docs.aws.amazon.com/sdkref/latest/guide/file-location.html

/// Where the shared files are, and which profile counts.
public struct SharedFiles: Hashable, Sendable {
    public var credentialsPath: String
    public var configPath: String
    public var profile: String
    /// True when the user named the profile: then it must exist.
    public var isProfileGiven: Bool

    /// - Parameter profile: from the command line; nil takes AWS_PROFILE, else `default`.
    public init(environment: [String: String], profile: String? = nil) {
        func named(_ name: String) -> String? {
            environment[name].flatMap { $0.isEmpty ? nil : $0 }
        }
        let home = named("HOME") ?? ""
        func expanded(_ path: String) -> String {
            path.hasPrefix("~/") ? home + path.dropFirst() : path
        }
        credentialsPath = expanded(named("AWS_SHARED_CREDENTIALS_FILE") ?? "~/.aws/credentials")
        configPath = expanded(named("AWS_CONFIG_FILE") ?? "~/.aws/config")
        let given = profile ?? named("AWS_PROFILE") ?? named("AWS_DEFAULT_PROFILE")
        self.profile = given ?? "default"
        isProfileGiven = given != nil
    }

    /// The profile's region, nil when none is set or the file cannot be read.
    public func region() -> String? {
        let region = (try? settings()).flatMap { $0?["region"] }
        return region.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The profile's settings of both files, the credentials file's first. Nil when there is no such
    /// profile.
    func settings() throws(CredentialsError) -> [String: String]? {
        let config = try load(configPath, isConfig: true).sections[profile]
        let keys = try load(credentialsPath, isConfig: false).sections[profile]
        guard config != nil || keys != nil else { return nil }
        // A key pair never comes half from one file and half from the other.
        var merged = config ?? [:]
        if let keys, keys["aws_access_key_id"] != nil || keys["aws_secret_access_key"] != nil {
            for name in ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"] {
                merged[name] = nil
            }
        }
        return merged.merging(keys ?? [:]) { _, new in new }
    }

    private func load(_ path: String, isConfig: Bool) throws(CredentialsError) -> ProfileFile {
        do throws(SecretFile.Problem) {
            // Others may read these on many systems; the AWS tools do not refuse them either.
            let bytes = try SecretFile.read(path, isPrivate: false)
            return ProfileFile(SecretFile.lines(bytes), isConfig: isConfig)
        } catch {
            switch error {
            case .missing: return ProfileFile([], isConfig: isConfig)
            case .unusable(let message):
                throw CredentialsError(kind: .unusable, message: message)
            }
        }
    }
}

/// A profile's access key.
public struct SharedFileCredentials: CredentialsProvider {
    private let files: SharedFiles

    public init(_ files: SharedFiles) { self.files = files }

    public var place: String {
        "profile \"\(files.profile)\" in \(files.credentialsPath) and \(files.configPath)"
    }

    public func credentials(
        completion: @escaping @Sendable (Result<Credentials, CredentialsError>) -> Void
    ) {
        completion(Result { () throws(CredentialsError) in try read() })
    }

    private func read() throws(CredentialsError) -> Credentials {
        guard let settings = try files.settings() else {
            let message =
                "there is no profile \"\(files.profile)\" in \(files.credentialsPath) or "
                + "\(files.configPath)"
            throw CredentialsError(
                kind: files.isProfileGiven ? .unusable : .notFound, message: message)
        }
        let id = settings["aws_access_key_id"] ?? ""
        let secret = settings["aws_secret_access_key"] ?? ""
        guard !id.isEmpty || !secret.isEmpty else {
            let message = "profile \"\(files.profile)\" has no aws_access_key_id"
            throw CredentialsError(
                kind: files.isProfileGiven ? .unusable : .notFound, message: message)
        }
        guard !id.isEmpty, !secret.isEmpty else {
            let missing = id.isEmpty ? "aws_access_key_id" : "aws_secret_access_key"
            throw CredentialsError(
                kind: .unusable,
                message:
                    "profile \"\(files.profile)\" in \(files.credentialsPath) has no \(missing)")
        }
        let token = settings["aws_session_token"] ?? ""
        return try Credentials(
            accessKeyID: id, secretAccessKey: secret, sessionToken: token.isEmpty ? nil : token
        ).checked(place: "profile \"\(files.profile)\"")
    }
}
