// Proves before mounting that the source works: credentials, region, bucket, and the right to list
// under BasePath. Says exactly which of them is wrong, and how to mend it, in one line.
//
// Needs no more rights than a mount: s3:ListBucket. s3:GetBucketLocation may be denied.

/// The check before a mount.
public struct SourceCheck: Sendable {
    /// What a check that succeeded found out.
    public struct Report: Hashable, Sendable {
        public var region: String
        /// The region that was given, when the bucket turned out to be in another one.
        public var correctedRegion: String?
        /// Minutes that the local clock is behind the server's (negative: ahead), when it matters.
        public var clockOffsetMinutes: Int?
        /// True when nothing is under BasePath (yet).
        public var isEmpty: Bool
    }

    /// What is wrong: one line with the mend. `statement` is the missing policy statement, if that is
    /// what is missing.
    public struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
        public enum Kind: Hashable, Sendable {
            case noSuchBucket, wrongRegion, wrongKeyID, wrongSecret, expiredToken, noCredentials
            case clockSkew, cannotList, unreachable, tls, other
        }

        public var kind: Kind
        public var message: String
        /// One line of JSON.
        public var statement: String?
        public var cause: StoreError

        public var description: String {
            statement.map { message + ": " + $0 } ?? message
        }
    }

    private let client: S3Client
    private let prefix: [UInt8]
    private let deadline: Duration

    /// - Parameters:
    ///   - prefix: BasePath as a key prefix: empty, or ending in `/`.
    ///   - deadline: for each request, shorter than for a mount at work: somebody waits at a prompt.
    public init(_ client: S3Client, prefix: [UInt8], deadline: Duration = .seconds(15)) {
        self.deadline = deadline
        self.client = client
        self.prefix = prefix
    }

    /// Runs the check. Takes two requests when all is well and no region was given, else one.
    public func run() async throws(Problem) -> Report {
        let given = client.configuration.source.region
        do throws(StoreError) {
            if given == nil { try await RegionFinder.discover(client, deadline: deadline) }
            let page = try await client.listPage(
                ListRequest(prefix: prefix, maxKeys: 1), deadline: deadline)
            let region = client.region
            let minutes = Self.minutes(client.clockOffset)
            return Report(
                region: region, correctedRegion: given == region ? nil : given,
                clockOffsetMinutes: minutes == 0 ? nil : minutes,
                isEmpty: page.objects.isEmpty && page.commonPrefixes.isEmpty)
        } catch {
            throw Diagnosis(client: client, prefix: prefix).problem(error)
        }
    }

    static func minutes(_ offset: Duration) -> Int {
        let seconds = Int(offset.components.seconds)
        return (seconds + (seconds < 0 ? -30 : 30)) / 60
    }
}
