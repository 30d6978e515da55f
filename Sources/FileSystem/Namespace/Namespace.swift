// Names, inodes, attributes and directory listings over the object store: the namespace's face.
//
// Every method takes the one mutex, decides from memory, and leaves; replies are answered and
// requests are made after the mutex is released. Answers of the store come back the same way. It
// never reads an object's bytes and never waits.
//
// Locks: the namespace's mutex, and below it only what `KernelNotifier` and `DirectoryReply.add`
// take (they only queue and pack). Never held while calling the store, a reply or a completion.

public import Logging
public import Operations
public import S3
public import Scheduling
import Synchronization

/// Names, inodes, attributes and listings.
public final class Namespace: Sendable {
    let configuration: NamespaceConfiguration
    let store: any ObjectStore
    let scheduler: any Scheduler
    let logger: Logger
    /// What HEADs told of objects' metadata.
    let memorized: any AttributeMemory
    private let state: Mutex<NamespaceState>

    /// - Parameters:
    ///   - notifier: nil when there is no kernel to tell (tests).
    ///   - attributes: remembers what HEADs told.
    public init(
        configuration: NamespaceConfiguration, store: any ObjectStore, scheduler: any Scheduler,
        notifier: (any KernelNotifier)?, logger: Logger,
        attributes: any AttributeMemory = BoundedAttributeMemory()
    ) {
        self.configuration = configuration
        self.store = store
        self.scheduler = scheduler
        self.logger = logger
        self.memorized = attributes
        self.state = Mutex(
            NamespaceState(
                configuration: configuration, notifier: notifier, now: scheduler.now))
    }

    /// Runs `body` under the lock, then what it deferred.
    func locked<Value: Sendable>(_ body: (inout NamespaceState) -> Value) -> Value {
        let (value, deferred) = state.withLock { state in
            state.now = scheduler.now
            let value = body(&state)
            state.shrink()
            let deferred = state.deferred
            if !deferred.isEmpty { state.deferred = [] }
            return (value, deferred)
        }
        for work in deferred { work(self) }
        return value
    }

    /// The one log line of a failed request.
    func report(_ error: StoreError, operation: String, path: String) {
        let failure = Failure(error)
        guard failure.isWorthLogging else { return }
        let advice = failure.advice.isEmpty ? "" : "; " + failure.advice
        logger.warning("\(operation) \(path.isEmpty ? "/" : path): \(error)\(advice)")
    }
}

// MARK: File operations

extension Namespace {
    /// As `FileOperations.lookup`.
    public func lookup(parent: InodeNumber, name: [UInt8], reply: Reply<EntryAnswer>) {
        locked { $0.lookup(parent: parent, name: name, reply: reply) }
    }

    /// As `FileOperations.forget`.
    public func forget(inode: InodeNumber, count: UInt64) {
        locked { $0.forget(inode, count: count) }
    }

    /// As `FileOperations.getAttributes`.
    public func getAttributes(inode: InodeNumber, reply: Reply<AttributesAnswer>) {
        locked { $0.getAttributes(inode, reply: reply) }
    }

    /// As `FileOperations.openDirectory`.
    public func openDirectory(inode: InodeNumber, reply: Reply<OpenAnswer>) {
        locked { $0.openDirectory(inode, reply: reply) }
    }

    /// As `FileOperations.readDirectory`.
    public func readDirectory(
        inode: InodeNumber, handle: HandleNumber, offset: UInt64, reply: any DirectoryReply
    ) {
        locked { $0.readDirectory(inode, handle: handle, offset: offset, reply: reply) }
    }

    /// As `FileOperations.releaseDirectory`.
    public func releaseDirectory(
        inode: InodeNumber, handle: HandleNumber, reply: Reply<Void>
    ) {
        locked { $0.releaseDirectory(inode, handle: handle) }
        reply.succeed()
    }

    /// As `FileOperations.getExtendedAttribute`.
    public func getExtendedAttribute(
        inode: InodeNumber, name: [UInt8], reply: Reply<[UInt8]>
    ) {
        locked { $0.getExtendedAttribute(inode, name: name, reply: reply) }
    }

    /// As `FileOperations.listExtendedAttributes`.
    public func listExtendedAttributes(inode: InodeNumber, reply: Reply<[[UInt8]]>) {
        locked { $0.listExtendedAttributes(inode, reply: reply) }
    }
}

// MARK: For the readers of files

extension Namespace {
    /// A file's place among its siblings.
    public struct SiblingPosition: Hashable, Sendable {
        public var directory: InodeNumber
        /// Index in the listing's order (also of sub-directories).
        public var index: Int

        public init(directory: InodeNumber, index: Int) {
            self.directory = directory
            self.index = index
        }
    }

    /// The file's current version, from memory; nil for directories, unknown and vanished inodes.
    public func version(of inode: InodeNumber) -> ObjectVersion? {
        locked { $0.version(of: inode) }
    }

    /// True while what is known of the inode may be believed without asking.
    public func isFresh(_ inode: InodeNumber) -> Bool { locked { $0.isFresh(inode) } }

    /// Asks the server for the file's current version (one HeadObject, shared by everybody who asks
    /// at the same time). Nil: the object is gone, or the inode is a directory or unknown.
    ///
    /// - Parameter completion: called on a thread of the store, or at once when there is nothing to
    /// ask.
    public func refresh(
        _ inode: InodeNumber,
        completion: @escaping @Sendable (Result<ObjectVersion?, StoreError>) -> Void
    ) {
        locked { $0.refresh(inode, completion: completion) }
    }

    /// Takes what the headers of a GetObject told. A different ETag or size updates the inode and
    /// tells the kernel.
    public func objectSeen(_ head: ObjectHead, inode: InodeNumber) {
        locked { $0.objectSeen(head, inode: inode) }
    }

    /// A reader got 412 or 404: what is known of the file is not believed any more, and the kernel
    /// is told.
    public func objectChanged(_ inode: InodeNumber) { locked { $0.objectChanged(inode) } }

    /// The file's place in its directory's listing; nil when it is not known from a listing.
    public func position(of inode: InodeNumber) -> SiblingPosition? {
        locked { $0.position(of: inode) }
    }

    /// Files (never directories) in listing order, from memory only.
    ///
    /// - Parameter index: where to begin, as in `SiblingPosition`.
    public func files(
        in directory: InodeNumber, from index: Int, limit: Int
    ) -> [(index: Int, version: ObjectVersion)] {
        locked { $0.files(in: directory, from: index, limit: limit) }
    }
}

// MARK: Figures

extension Namespace {
    /// What the namespace holds just now.
    public struct Memory: Hashable, Sendable {
        /// Inodes in use, the root included.
        public var inodes: Int
        /// Directories with state.
        public var directories: Int
        /// Bytes of tables and listings.
        public var held: Int
        /// Bytes of them that nothing holds: bounded by `memoryLimit`.
        public var idle: Int
    }

    /// What the namespace holds just now, counted afresh.
    public var memory: Memory {
        locked { state in
            Memory(
                inodes: state.inodes.count, directories: state.directories.count,
                held: state.inodes.bytes + state.directories.values.reduce(0) { $0 + $1.bytes },
                idle: state.idleBytes)
        }
    }
}
