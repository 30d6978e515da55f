// The file system: one method for each file operation, each a short path into one of the rooms.
//
// Namespace/ knows names, attributes and listings; Reading/ brings bytes; Handles/ are what is open.
// No method waits for the network: what cannot be answered from memory keeps its reply and returns.

public import BlockStore
public import Buffers
import Glibc
public import Logging
public import Operations
public import S3
public import Scheduling

/// What a file system is told at its start.
public struct FileSystemConfiguration: Sendable {
    public var namespace: NamespaceConfiguration
    /// Endpoint and bucket, the same in every mount of it: names the objects in the block store.
    public var storeName: String

    public init(namespace: NamespaceConfiguration, storeName: String) {
        self.namespace = namespace
        self.storeName = storeName
    }
}

/// What changing the bucket takes.
public struct WritingRooms: Sendable {
    public var configuration: WritingConfiguration
    public var store: any WritableObjectStore
    public var staging: any StagingStorage

    public init(
        configuration: WritingConfiguration, store: any WritableObjectStore,
        staging: any StagingStorage
    ) {
        self.configuration = configuration
        self.store = store
        self.staging = staging
    }
}

/// A bucket, or the part of it below a BasePath, as files.
public final class FileSystem: FileOperations {
    let namespace: Namespace
    let context: ReadContext
    let siblings: SiblingReader
    let handles = HandleTable()
    let opened = OpenedVersions()
    let failures: FailureLog
    /// Nil on a read-only mount.
    let writing: Writing?

    /// - Parameters:
    ///   - blocks: the block store; nil mounts without one.
    ///   - changes: what changing the bucket takes; nil mounts read-only.
    ///   - attributes: remembers what objects' metadata say.
    ///   - notifier: tells the kernel of changes; nil when there is no kernel.
    public init(
        configuration: FileSystemConfiguration, store: any ObjectStore,
        blocks: (any BlockStorage)?, changes: WritingRooms? = nil,
        attributes: any AttributeMemory = BoundedAttributeMemory(), pool: BufferPool,
        scheduler: any Scheduler, notifier: (any KernelNotifier)?, logger: Logger
    ) {
        namespace = Namespace(
            configuration: configuration.namespace, store: store, scheduler: scheduler,
            notifier: notifier, logger: logger, attributes: attributes)
        context = ReadContext(
            store: store, blocks: blocks, storeName: configuration.storeName, pool: pool,
            scheduler: scheduler, logger: logger)
        siblings = SiblingReader(context: context, namespace: namespace)
        failures = FailureLog(logger: logger)
        writing = changes.map { [namespace, context, opened, handles] changes in
            Writing(
                context: WritingContext(
                    configuration: changes.configuration, store: changes.store,
                    staging: changes.staging, namespace: namespace, attributes: attributes,
                    read: context, opened: opened, handles: handles, logger: logger))
        }
    }

    /// Finishes or abandons what an earlier life of the mount has left undone. Call once, before
    /// serving.
    ///
    /// - Parameter published: called when all files that were promised are in the bucket, or cannot be
    ///   published now.
    public func recover(published: @escaping @Sendable () -> Void) {
        guard let writing else { return published() }
        Recovery(writing: writing).start(published: published)
    }

    /// Publishes everything that is not in the bucket yet.
    ///
    /// - Parameter then: called with one line for each file that could not be published.
    public func flushAll(then: @escaping @Sendable ([String]) -> Void) {
        guard let writing else { return then([]) }
        writing.flushAll { failures in then(failures.map(\.reason)) }
    }

    /// Gives up everything that is under way for nobody: after the last operation, at unmount.
    public func shutdown() {
        siblings.close()
        for handle in handles.removeAll() { handle.close() }
    }

    // MARK: Names and attributes

    public func lookup(parent: InodeNumber, name: [UInt8], reply: Reply<EntryAnswer>) {
        namespace.lookup(parent: parent, name: name, reply: reply)
    }

    public func forget(inode: InodeNumber, count: UInt64) {
        opened.forget(inode)
        namespace.forget(inode: inode, count: count)
    }

    public func getAttributes(
        inode: InodeNumber, handle: HandleNumber?, reply: Reply<AttributesAnswer>
    ) {
        namespace.getAttributes(inode: inode, reply: reply)
    }

    public func getExtendedAttribute(
        inode: InodeNumber, name: [UInt8], reply: Reply<[UInt8]>
    ) {
        namespace.getExtendedAttribute(inode: inode, name: name, reply: reply)
    }

    public func listExtendedAttributes(inode: InodeNumber, reply: Reply<[[UInt8]]>) {
        namespace.listExtendedAttributes(inode: inode, reply: reply)
    }

    // MARK: Directories

    public func openDirectory(inode: InodeNumber, reply: Reply<OpenAnswer>) {
        namespace.openDirectory(inode: inode, reply: reply)
    }

    public func readDirectory(
        inode: InodeNumber, handle: HandleNumber, offset: UInt64, reply: any DirectoryReply
    ) {
        namespace.readDirectory(inode: inode, handle: handle, offset: offset, reply: reply)
    }

    public func releaseDirectory(
        inode: InodeNumber, handle: HandleNumber, reply: Reply<Void>
    ) {
        namespace.releaseDirectory(inode: inode, handle: handle, reply: reply)
    }

    /// A bucket has no size; the figures say "plenty", so that no tool refuses to work on it, or what
    /// the operator wants it to be.
    public func statFileSystem(inode: InodeNumber, reply: Reply<FileSystemStatistics>) {
        let quota = writing?.context.configuration.quota
        let blockSize: UInt64 = quota == nil ? 1 << 20 : 4096
        let blocks = quota.map { UInt64($0) / blockSize } ?? 1 << 38
        reply.succeed(
            FileSystemStatistics(
                blockSize: blockSize, blocks: blocks, freeBlocks: blocks, files: 1 << 40,
                freeFiles: 1 << 40, nameLimit: 255))
    }
}
