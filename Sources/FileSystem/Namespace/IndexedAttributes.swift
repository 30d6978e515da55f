// Attributes of objects, remembered in memory and, behind that, in an index on disk that outlives the
// mount.
//
// The index is asked and told on the scheduler, as it waits for the disk. What is noted is written a
// moment later, many together.
//
// Locks: `state`, a leaf.

public import BlockStore
import S3
public import Scheduling
import Synchronization

/// An `AttributeMemory` over an index on disk.
public final class IndexedAttributes: AttributeMemory {
    private let memory = BoundedAttributeMemory()
    private let index: any AttributeIndex
    private let store: String
    private let scheduler: any Scheduler
    private let state = Mutex<[AttributeQuestion: ObjectAttributes]>([:])

    /// How long notes are gathered before they are written.
    private static let gathering = Duration.milliseconds(500)

    /// - Parameter store: endpoint and bucket.
    public init(index: any AttributeIndex, store: String, scheduler: any Scheduler) {
        self.index = index
        self.store = store
        self.scheduler = scheduler
    }

    public func find(
        _ questions: [AttributeQuestion],
        completion: @escaping @Sendable ([AttributeQuestion: ObjectAttributes]) -> Void
    ) {
        memory.find(questions) { [self] known in
            let unknown = questions.filter { known[$0] == nil }
            guard !unknown.isEmpty else { return completion(known) }
            scheduler.run { [self] in
                let values = index.find(
                    store: store, keys: unknown.map { ($0.key.bytes, $0.etag.text) })
                var found: [AttributeQuestion: ObjectAttributes] = [:]
                for (question, value) in zip(unknown, values) {
                    found[question] = value.flatMap { ObjectAttributes(stored: $0) }
                }
                memory.note(found)
                completion(known.merging(found) { $1 })
            }
        }
    }

    public func note(_ known: [AttributeQuestion: ObjectAttributes]) {
        memory.note(known)
        let isFirst = state.withLock { waiting in
            let isFirst = waiting.isEmpty
            waiting.merge(known) { $1 }
            return isFirst && !waiting.isEmpty
        }
        guard isFirst else { return }
        scheduler.after(Self.gathering) { [self] in write() }
    }

    /// Writes what waits; also at the end of a mount. Waits for the disk.
    public func write() {
        let waiting = state.withLock { waiting in
            defer { waiting = [:] }
            return waiting
        }
        guard !waiting.isEmpty else { return }
        index.note(
            store: store,
            entries: waiting.map { ($0.key.key.bytes, $0.key.etag.text, $0.value.stored) })
    }
}

extension ObjectAttributes {
    /// As few bytes: a letter, the value in decimal, a space; nothing for what is not there.
    var stored: [UInt8] {
        var text = ""
        if let permissions { text += "m\(permissions) " }
        if let uid { text += "u\(uid) " }
        if let gid { text += "g\(gid) " }
        if let modified { text += "t\(modified) " }
        if let changed { text += "c\(changed) " }
        if isSymbolicLink { text += "l1 " }
        return Array(text.utf8)
    }

    /// Nil when the bytes make no sense.
    init?(stored bytes: [UInt8]) {
        self.init()
        for word in bytes.split(separator: 0x20) {
            guard let value = Int64(String(decoding: word.dropFirst(), as: UTF8.self)) else {
                return nil
            }
            switch word.first {
            case UInt8(ascii: "m"): permissions = UInt16(exactly: value)
            case UInt8(ascii: "u"): uid = UInt32(exactly: value)
            case UInt8(ascii: "g"): gid = UInt32(exactly: value)
            case UInt8(ascii: "t"): modified = value
            case UInt8(ascii: "c"): changed = value
            case UInt8(ascii: "l"): isSymbolicLink = value == 1
            default: return nil
            }
        }
    }
}
