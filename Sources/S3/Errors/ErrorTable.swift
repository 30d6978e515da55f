// From what the server or the transport said to what it means: StoreError.Kind, and whether trying
// again can help. The only place that knows S3's error codes.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html

internal import Transport

/// What a server said with a status that is no success (or with an `Error` body under 200).
struct ServerError: Sendable {
    var status: Int
    var code: String?
    var message: String?
    /// `Region` of the body, or `x-amz-bucket-region`.
    var region: String?
    /// `Endpoint` of the body: a host.
    var endpoint: String?
    var requestID: String?
    /// `Retry-After` in seconds.
    var retryAfter: Int64?
    /// The server's wall-clock time, seconds since 1970.
    var date: Int64?
}

enum ErrorTable {
    /// Codes that a later attempt may not get.
    private static let transientCodes: Set<String> = [
        "InternalError", "ServiceUnavailable", "SlowDown", "RequestTimeout", "Throttling",
        "ThrottlingException", "RequestThrottled", "RequestThrottledException",
        "TooManyRequests", "RequestLimitExceeded", "BandwidthLimitExceeded",
        "TooManyRequestsException", "Busy", "XMinioServerNotInitialized",
    ]

    /// Codes that name the credentials themselves.
    private static let credentialCodes: Set<String> = [
        "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken",
        "TokenRefreshRequired", "ExpiredTokenException", "InvalidClientTokenId",
        "AuthorizationHeaderMalformed", "InvalidSecurity", "MissingSecurityHeader",
        "NotSignedUp", "CredentialsNotSupported", "UnrecognizedClientException",
    ]

    /// Codes that new credentials may mend.
    static let expiredCodes: Set<String> = [
        "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired",
    ]

    /// Codes that say that a body is not what its sender said it would be.
    private static let damageCodes: Set<String> = [
        "BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch",
        "IncompleteBody",
    ]

    /// Kinds that a few more attempts may not get, but hardly many.
    static func isWorthAFewAttempts(_ kind: StoreError.Kind) -> Bool {
        kind == .conflict || kind == .corrupted
    }

    /// - Parameter isBucket: true when the request named no key.
    static func kind(of error: ServerError, isBucket: Bool) -> StoreError.Kind {
        if let code = error.code, let kind = kind(code: code, region: error.region) { return kind }
        switch error.status {
        case 301, 307, 308: return .wrongRegion
        case 400 where error.region != nil && error.code == nil: return .wrongRegion
        case 401: return .badCredentials
        case 403: return .accessDenied
        case 404: return isBucket ? .noSuchBucket : .notFound
        case 409: return .conflict
        case 412: return .preconditionFailed
        case 413: return .tooLarge
        case 416: return .invalidRange
        case 501: return .notImplemented
        case 507: return .quotaExceeded
        case 429, 500, 502, 503, 504: return .unavailable
        default: return .other
        }
    }

    private static func kind(code: String, region: String?) -> StoreError.Kind? {
        switch code {
        case "NoSuchKey", "NoSuchVersion": return .notFound
        case "NoSuchBucket": return .noSuchBucket
        case "PreconditionFailed": return .preconditionFailed
        case "InvalidRange": return .invalidRange
        case "InvalidObjectState": return .archived
        case "RequestTimeTooSkewed": return .clockSkew
        case "PermanentRedirect", "TemporaryRedirect", "IllegalLocationConstraintException":
            return .wrongRegion
        case "AuthorizationHeaderMalformed" where region != nil: return .wrongRegion
        case "ConditionalRequestConflict", "OperationAborted": return .conflict
        case "QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded",
            "InsufficientStorage", "InsufficientCapacity":
            return .quotaExceeded
        case "EntityTooLarge", "MetadataTooLarge": return .tooLarge
        case "NotImplemented": return .notImplemented
        case "NoSuchUpload": return .noSuchUpload
        case _ where damageCodes.contains(code): return .corrupted
        case "AccessDenied", "AllAccessDisabled", "AccountProblem", "InvalidPayer":
            return .accessDenied
        case _ where credentialCodes.contains(code): return .badCredentials
        case _ where transientCodes.contains(code): return .unavailable
        default: return nil
        }
    }

    /// True when the same request may succeed later.
    static func isTransient(_ error: ServerError) -> Bool {
        if let code = error.code, transientCodes.contains(code) { return true }
        return [429, 500, 502, 503, 504].contains(error.status)
    }

    static func error(
        _ server: ServerError, operation: String, isBucket: Bool
    ) -> StoreError {
        StoreError(
            kind: isTooLargeToCopy(server, operation)
                ? .tooLarge : kind(of: server, isBucket: isBucket),
            operation: operation, code: server.code,
            status: server.status, requestID: server.requestID,
            message: oneLine(server.message ?? "no explanation from the server"))
    }

    /// CopyObject of more than 5 GiB: only the words tell it from other invalid requests.
    private static func isTooLargeToCopy(_ server: ServerError, _ operation: String) -> Bool {
        operation == "CopyObject" && server.code == "InvalidRequest"
            && server.message?.contains("larger than the maximum") == true
    }

    static func kind(of error: HTTPTransportError.Kind) -> StoreError.Kind {
        switch error {
        case .nameNotResolved, .connectFailed, .connectionLost, .bodyTooShort: .network
        case .timedOut, .stalled: .timedOut
        case .certificate, .tls: .tls
        case .cancelled: .cancelled
        case .bodyUnreadable: .bodyUnreadable
        case .badURL, .other: .other
        }
    }

    /// A server's words as one line of at most 300 characters without control characters.
    static func oneLine(_ text: String) -> String {
        var line = ObjectKey(text.split(whereSeparator: \.isNewline).joined(separator: " "))
            .description
        if line.count > 300 { line = line.prefix(300) + "…" }
        return line
    }
}
