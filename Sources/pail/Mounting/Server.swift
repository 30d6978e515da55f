// From the configuration to the S3 room's words.

import Logging
import S3
import Transport

extension MountConfiguration {
    /// The bucket as the S3 room takes it.
    func s3Source(_ surroundings: Surroundings) -> S3Source {
        let addressing: S3Source.Addressing =
            switch self.addressing {
            case .path: .path
            case .virtualHosted: .virtualHosted
            case nil: .automatic
            }
        return S3Source(
            bucket: source.bucket, region: region ?? sharedFiles(surroundings).region(),
            endpointURL: endpoint, addressing: addressing, requesterPays: isRequesterPays)
    }

    /// Where the key comes from.
    func credentials(_ surroundings: Surroundings) -> any CredentialsProvider {
        if isAnonymous { return StaticCredentials(.anonymous) }
        if let credentialsCSV { return CSVCredentials(path: credentialsCSV) }
        return CredentialsChain.standard(
            environment: surroundings.withAbsoluteFiles, profile: profile)
    }

    /// What goes with every write; and the customer's key, which goes with reads too. Reads its file.
    func writeOptions() throws(CommandFailure) -> WriteOptions {
        let encryption: S3.Encryption =
            switch self.encryption {
            case .none: .none
            case .s3: .s3
            case .kms(let keyID): .kms(keyID: keyID, bucketKey: false)
            case .customer(let file): .customer(try CustomerKeyFile.read(file))
            }
        return WriteOptions(
            storageClass: storageClass.map { StorageClass(rawValue: $0) }, acl: acl,
            encryption: encryption, tags: tags.map { WriteOptions.Tag($0.name, $0.value) })
    }

    private func sharedFiles(_ surroundings: Surroundings) -> SharedFiles {
        SharedFiles(environment: surroundings.withAbsoluteFiles, profile: profile)
    }

    /// How connections are made.
    func transport(_ logger: Logger) -> TransportConfiguration {
        var transport = TransportConfiguration(userAgent: "pail/\(Version.current)")
        transport.maxConnections = maxConnections
        transport.caBundle = caBundle
        if debugHTTP { transport.debug = { logger.info("http: \($0)") } }
        return transport
    }
}

extension Surroundings {
    /// The environment with absolute file names, as a mount works in `/`.
    fileprivate var withAbsoluteFiles: [String: String] {
        var environment = environment
        for name in ["AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"] {
            environment[name] = variable(name).map(absolute)
        }
        return environment
    }
}
