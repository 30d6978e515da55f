// One line in the log for each operation that failed for a reason worth knowing.

import Logging
import S3

/// Says in the log why an operation failed, and what to do about it.
struct FailureLog: Sendable {
    let logger: Logger

    /// - Parameters:
    ///   - operation: the file operation, e.g. "read".
    ///   - key: the object or prefix it was about.
    func report(_ operation: String, _ key: ObjectKey, _ error: StoreError) {
        let failure = Failure(error)
        guard failure.isWorthLogging else { return }
        let advice = failure.advice.isEmpty ? "" : "; " + failure.advice
        logger.warning("\(operation) \(key): \(failure.errno): \(error)\(advice)")
    }
}
