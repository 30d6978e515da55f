// Which object versions have something at hand: one `ObjectContent` each, while anybody uses it or
// it holds memory.
//
// Locks: `table`; taken before a content's lock, never after it.

import BlockStore
import S3
import Synchronization

/// The contents by version.
final class ContentTable: Sendable {
    private struct Identity: Hashable {
        var key: ObjectKey
        var etag: ETag
    }

    private let blocks: (any BlockStorage)?
    private let storeName: String
    private let table = Mutex<[Identity: ObjectContent]>([:])

    init(blocks: (any BlockStorage)?, storeName: String) {
        self.blocks = blocks
        self.storeName = storeName
    }

    /// The content of a version, with one more user. Pair it with `close`.
    func open(_ version: ObjectVersion) -> ObjectContent {
        let identity = Identity(key: version.key, etag: version.etag)
        return table.withLock { table in
            if let content = table[identity] {
                content.addUser()
                return content
            }
            let cached = blocks?.open(
                ObjectIdentity(
                    store: storeName, key: version.key.bytes, etag: version.etag.text,
                    size: version.size))
            let content = ObjectContent(version: version, cached: cached)
            content.addUser()
            table[identity] = content
            return content
        }
    }

    /// One user less.
    func close(_ content: ObjectContent) {
        content.removeUser()
        dropIfUnused(content)
    }

    /// Forgets a content that nobody uses and that holds no memory.
    func dropIfUnused(_ content: ObjectContent) {
        guard content.isUnused else { return }
        let identity = Identity(key: content.version.key, etag: content.version.etag)
        table.withLock { table in
            guard table[identity] === content, content.isUnused else { return }
            table[identity] = nil
        }
    }

    /// How many there are, for tests and figures.
    var count: Int { table.withLock { $0.count } }
}
