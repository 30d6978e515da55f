// Why a change could not be made: the cause for the log, the errno for the application.

import BlockStore
import Operations
import S3

/// A failed publish, or a failed change on its way to one.
struct WriteFailure: Error, Sendable {
    var errno: Errno
    /// One line without secrets, with the advice.
    var reason: String
    /// The store's own words, when it was the store.
    var cause: StoreError?

    init(errno: Errno, reason: String) {
        self.errno = errno
        self.reason = reason
    }

    /// - Parameter wantsAbsent: the write was only to succeed if the key did not exist.
    init(_ error: StoreError, wantsAbsent: Bool = false) {
        let failure = Failure(error)
        cause = error
        errno = failure.errno
        var advice = failure.advice
        if error.kind == .preconditionFailed {
            errno = wantsAbsent ? .exists : .stale
            advice =
                wantsAbsent
                ? "somebody else has made it meanwhile"
                : "somebody else has changed it meanwhile; read it again and repeat the change"
        }
        if error.kind == .notFound {
            errno = .stale
            advice = "somebody else has removed it meanwhile"
        }
        if error.kind == .cancelled { errno = .inputOutput }
        reason = advice.isEmpty ? "\(error)" : "\(error); \(advice)"
    }

    init(_ error: StagingError) {
        switch error {
        case .full:
            self.init(
                errno: .noSpace,
                reason: "the disk of the staging area is full; free space, or set --cache-dir")
        case .failed(let number):
            self.init(
                errno: .inputOutput,
                reason: "the staging area failed: \(Errno(rawValue: number)); check its disk")
        }
    }
}
