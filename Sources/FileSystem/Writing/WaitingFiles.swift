// Files of an earlier life of the mount that could not be published: they have no name here, only
// their record and their bytes.
//
// Locks: one leaf mutex.

import Synchronization

/// Staged files that wait for somebody to decide.
final class WaitingFiles: Sendable {
    private let files = Mutex<[WritableFile]>([])

    func add(_ file: WritableFile) { files.withLock { $0.append(file) } }

    func remove(_ file: WritableFile) { files.withLock { $0.removeAll { $0 === file } } }

    var all: [WritableFile] { files.withLock { $0 } }
}
