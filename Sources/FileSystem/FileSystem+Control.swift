// What the operator of a mount can ask of it besides files: see what is not in the bucket yet, and
// decide about it.

import Operations
import Scheduling

/// What to do with a file that is not in the bucket yet.
public enum PendingAction: Sendable, Equatable {
    /// Publish it now.
    case retry
    /// Copy it below an existing local directory, under its path in the mount.
    case save(directory: String)
    /// Give its changes up.
    case discard
}

extension FileSystem {
    /// The files that are not in the bucket yet.
    public var pendingFiles: [PendingFile] {
        writing.map { PendingFiles(writing: $0).all } ?? []
    }

    /// How many files are not in the bucket yet, and how many bytes of them are to be sent.
    public var pendingAmount: (files: Int, bytes: Int64) {
        writing.map { PendingFiles(writing: $0).amount } ?? (0, 0)
    }

    /// Publishes everything, also what failed before.
    ///
    /// - Parameter then: called with one line for each file that could not be published.
    public func flushPending(then: @escaping @Sendable ([String]) -> Void) {
        guard let writing else { return then([]) }
        PendingFiles(writing: writing).flush { failures in then(failures.map(\.reason)) }
    }

    /// Acts on one file that is not in the bucket yet.
    ///
    /// - Parameters:
    ///   - id: as `pendingFiles` gave it.
    ///   - path: as given with it; another file may have the id by now.
    ///   - then: called with why it was not done, one line; nil when it was.
    public func act(
        _ action: PendingAction, on id: String, path: [UInt8],
        then: @escaping @Sendable (String?) -> Void
    ) {
        guard let files = writing.map({ PendingFiles(writing: $0) }),
            let file = files.find(id, path: path)
        else { return then("it is not pending any more") }
        let end: @Sendable (WriteFailure?) -> Void = { then($0?.reason) }
        switch action {
        case .retry: files.retry(file, then: end)
        case .discard: context.scheduler.run { files.discard(file, then: end) }
        case .save(let directory):
            context.scheduler.run {
                let names = path.split(separator: 0x2F).map { Array($0) }
                do throws(WriteFailure) {
                    try PendingCopy(of: file, to: directory, names: names).run(then: end)
                } catch {
                    end(error)
                }
            }
        }
    }

    /// Makes everything that is not in the bucket safe on the local disk, for the next mount. Waits for
    /// the disk.
    ///
    /// - Returns: one line for each file that could not be made safe.
    public func keepPending() -> [String] {
        writing.map { PendingFiles(writing: $0).keepAll().map(\.reason) } ?? []
    }
}
