// What HEADs have told of objects' metadata, remembered by key and ETag, so that no object is asked
// twice: the seam to an index on disk, and the memory used without one.
//
// Locks: one mutex in `BoundedAttributeMemory`, a leaf.

public import S3
import Synchronization

/// A version whose attributes are wanted.
public struct AttributeQuestion: Hashable, Sendable {
    public var key: ObjectKey
    public var etag: ETag

    public init(key: ObjectKey, etag: ETag) {
        self.key = key
        self.etag = etag
    }
}

/// Remembers attributes by key and ETag. May forget at any time, and never makes anything up.
public protocol AttributeMemory: AnyObject, Sendable {
    /// Looks versions up together.
    ///
    /// - Parameter completion: called once, on any thread (also on this stack), with the versions
    ///   that are known; an object known to have no metadata is there with empty attributes.
    func find(
        _ questions: [AttributeQuestion],
        completion: @escaping @Sendable ([AttributeQuestion: ObjectAttributes]) -> Void)

    /// Remembers versions, replacing what was known of them.
    func note(_ known: [AttributeQuestion: ObjectAttributes])
}

/// The memory of one process: a fixed number of versions, the older half is dropped at the limit.
public final class BoundedAttributeMemory: AttributeMemory {
    private struct State {
        var recent: [AttributeQuestion: ObjectAttributes] = [:]
        var older: [AttributeQuestion: ObjectAttributes] = [:]
    }

    private let half: Int
    private let state = Mutex(State())

    /// - Parameter limit: versions, at some 250 bytes each.
    public init(limit: Int = 1 << 15) { half = max(1, limit / 2) }

    public func find(
        _ questions: [AttributeQuestion],
        completion: @escaping @Sendable ([AttributeQuestion: ObjectAttributes]) -> Void
    ) {
        let found = state.withLock { state in
            var found: [AttributeQuestion: ObjectAttributes] = [:]
            for question in questions {
                guard let known = state.recent[question] ?? state.older[question] else { continue }
                found[question] = known
                insert(question, known, &state)
            }
            return found
        }
        completion(found)
    }

    public func note(_ known: [AttributeQuestion: ObjectAttributes]) {
        state.withLock { state in
            for (question, attributes) in known { insert(question, attributes, &state) }
        }
    }

    private func insert(
        _ question: AttributeQuestion, _ attributes: ObjectAttributes, _ state: inout State
    ) {
        state.recent[question] = attributes
        guard state.recent.count >= half else { return }
        state.older = state.recent
        state.recent = [:]
    }
}
