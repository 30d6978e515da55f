// The ONE table from cause to errno, with the advice that goes into the log.

public import Operations
public import S3

/// What a failed request means for the application and for the operator.
public struct Failure: Error, Sendable {
    /// The application's errno.
    public var errno: Errno
    /// What the operator can do about it; empty when there is nothing to do.
    public var advice: String
    /// False for the outcomes of ordinary use (no such file), which are not worth a log line.
    public var isWorthLogging: Bool
}

extension Failure {
    /// The table's row for an error of the store.
    public init(_ error: StoreError) {
        let row: (Errno, String, Bool)
        switch error.kind {
        case .notFound:
            row = (.noEntry, "", false)
        case .cancelled:
            row = (.interrupted, "", false)
        case .noSuchBucket:
            row = (.inputOutput, "the bucket is gone; check its name and region", true)
        case .accessDenied:
            row = (.accessDenied, "the credentials lack the permission for this request", true)
        case .badCredentials:
            row = (.accessDenied, "the credentials are refused; renew or correct them", true)
        case .clockSkew:
            row = (
                .accessDenied, "this machine's clock is off; set it (for example with NTP)", true
            )
        case .wrongRegion:
            row = (.inputOutput, "the bucket is in another region; set --region", true)
        case .preconditionFailed:
            row = (.stale, "the object was changed while it was open; open it again", true)
        case .invalidRange:
            row = (.stale, "the object is shorter than it was; open it again", true)
        case .archived:
            row = (
                .accessDenied,
                "the object is archived; restore it first (aws s3api restore-object), then read it",
                true
            )
        case .unavailable:
            row = (
                .inputOutput, "the server kept failing; see its status, or try again later", true
            )
        case .timedOut:
            row = (.timedOut, "no answer within the time limit; check the network", true)
        case .network:
            row = (.inputOutput, "the endpoint cannot be reached; check the network", true)
        case .tls:
            row = (.inputOutput, "TLS failed; check --endpoint-url and --ca-bundle", true)
        case .malformedResponse:
            row = (.inputOutput, "the server's answer makes no sense; is it an S3 endpoint?", true)
        case .conflict:
            row = (.busy, "somebody else is writing the same key; try again", true)
        case .quotaExceeded:
            row = (
                .quotaExceeded, "the bucket's quota is used up; raise it or delete objects", true
            )
        case .tooLarge:
            row = (.fileTooLarge, "the object would be larger than S3 takes", true)
        case .notImplemented:
            row = (.notSupported, "the server does not offer this request", true)
        case .corrupted:
            row = (.inputOutput, "the bytes were changed on their way; check the network", true)
        case .noSuchUpload:
            row = (.inputOutput, "the multipart upload is gone; did somebody abort it?", true)
        case .bodyUnreadable:
            row = (.inputOutput, "the staged file cannot be read; check the cache's disk", true)
        case .other:
            row = (.inputOutput, "", true)
        }
        self.init(errno: row.0, advice: row.1, isWorthLogging: row.2)
    }
}

extension StoreError {
    /// True when a read of a known version failed because that version is gone.
    var saysChanged: Bool {
        kind == .preconditionFailed || kind == .notFound || kind == .invalidRange
    }

    /// The same failure, as it looks to somebody who reads a version that was there: a missing key is
    /// a changed object, not a wrong name.
    var asSeenByReader: StoreError {
        guard saysChanged else { return self }
        var error = self
        error.kind = .preconditionFailed
        return error
    }
}
