import S3

extension StoreError {
    /// The error as the real store would report it at the end of its retries.
    static func simulated(
        _ kind: Kind, _ operation: StoreOperation, code: String? = nil
    ) -> StoreError {
        let row: (code: String?, status: Int?) =
            switch kind {
            case .notFound: ("NoSuchKey", 404)
            case .noSuchBucket: ("NoSuchBucket", 404)
            case .accessDenied: ("AccessDenied", 403)
            case .preconditionFailed: ("PreconditionFailed", 412)
            case .invalidRange: ("InvalidRange", 416)
            case .archived: ("InvalidObjectState", 403)
            case .conflict: ("ConditionalRequestConflict", 409)
            case .quotaExceeded: ("QuotaExceeded", 403)
            case .tooLarge: ("EntityTooLarge", 400)
            case .notImplemented: ("NotImplemented", 501)
            case .noSuchUpload: ("NoSuchUpload", 404)
            case .unavailable: ("SlowDown", 503)
            case .other: (nil, 400)
            default: (nil, nil)
            }
        return StoreError(
            kind: kind, operation: operation.rawValue, code: code ?? row.code, status: row.status,
            message: "simulated")
    }
}

extension Result where Failure == StoreError {
    /// The kind of the failure; nil for a success.
    var failureKind: StoreError.Kind? {
        if case .failure(let error) = self { error.kind } else { nil }
    }
}
