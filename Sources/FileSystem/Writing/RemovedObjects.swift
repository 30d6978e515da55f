// Objects of files that were removed while they were open: their readers still need them, so they go
// with the last handle. Until then their keys are not free in the bucket, though the names are.
//
// Whoever makes such a name again takes the object over: it is then the successor's to replace or to
// delete, and its record in the journal goes with that.
//
// Locks: one leaf mutex.

import Operations
import S3
import Synchronization

/// An object whose name is gone.
struct RemovedObject: Equatable, Sendable {
    var version: ObjectVersion
    /// Its record in the journal.
    var journalID: Int64?
    /// Where it was found.
    var parent: InodeNumber
    var name: [UInt8]
}

/// The removed objects of a mount, by key.
final class RemovedObjects: Sendable {
    private let objects = Mutex<[ObjectKey: RemovedObject]>([:])

    func add(_ object: RemovedObject) {
        objects.withLock { $0[object.version.key] = object }
    }

    /// Gives an object away, to whoever deletes or replaces it.
    ///
    /// - Parameter etag: only this version; nil for any.
    func take(_ key: ObjectKey, _ etag: ETag? = nil) -> RemovedObject? {
        objects.withLock { objects in
            guard let found = objects[key], etag == nil || found.version.etag == etag else {
                return nil
            }
            objects[key] = nil
            return found
        }
    }

    /// True when an object waits under this key.
    func contains(_ key: ObjectKey) -> Bool { objects.withLock { $0[key] != nil } }

    var isEmpty: Bool { objects.withLock { $0.isEmpty } }
}
