// Where the concrete rooms of a mount meet, and in which order they come and go.

import BlockStore
import Buffers
import FileSystem
import Glibc
import Logging
import Operations
import S3
import Scheduling
import Transport

/// The rooms of one mount. They are made bottom up and closed top down.
final class Rooms: Sendable {
    let scheduler: ThreadScheduler
    let transport: CurlTransport
    /// The bucket as the check found it.
    let proof: SourceProof
    /// What goes with every write.
    private let writing: WriteOptions
    private let credentials: any CredentialsProvider
    private let configuration: MountConfiguration
    private let logger: Logger

    /// Threads for the disk: enough to keep it busy, few enough to be no burden.
    private static let workers = 4

    /// Starts threads, and proves that the source works.
    init(
        _ configuration: MountConfiguration, _ surroundings: Surroundings, _ logger: Logger
    ) throws(CommandFailure) {
        self.configuration = configuration
        self.logger = logger
        try Self.checkFiles(configuration)
        writing = try configuration.writeOptions()
        scheduler = ThreadScheduler(threads: Self.workers, name: "pail-work")
        var settings = configuration.transport(logger)
        // TLS costs a core per GB/s: on large machines two threads and more share it.
        settings.threads = max(1, min(4, sysconf(Int32(_SC_NPROCESSORS_ONLN)) / 2))
        transport = CurlTransport(configuration: settings)
        credentials = configuration.credentials(surroundings)
        proof = try SourceProof.run(
            configuration, source: configuration.s3Source(surroundings), credentials: credentials,
            transport: transport, scheduler: scheduler, logger: logger)
    }

    /// What a mount is made of.
    struct Parts {
        var fileSystem: FileSystem
        var blocks: DiskBlockStore?
        var staging: DiskStaging?
        var attributes: IndexedAttributes?
    }

    /// The client of the proven source.
    func makeClient() throws(CommandFailure) -> S3Client {
        try SourceProof.client(
            S3ClientConfiguration(source: proof.source, writing: writing, logger: logger),
            credentials, transport, scheduler)
    }

    /// The file system, and the stores below it.
    ///
    /// - Parameters:
    ///   - changes: what writing takes; nil for a read-only mount.
    ///   - warn: told what the user should know although the mount goes on.
    func makeFileSystem(
        _ client: S3Client, changes: WritingSetup?, notifier: any KernelNotifier,
        warn: (String) -> Void
    ) -> Parts {
        let blocks = LocalCache.open(
            configuration, scheduler: scheduler, logger: logger, warn: warn)
        // A read-only mount shows what listings tell, and asks for no object's metadata unless told to.
        let readsMetadata = configuration.readsMetadata ?? (changes != nil)
        let isForever = configuration.metadataTTL == TimeSpan.forever
        let namespace = NamespaceConfiguration(
            rootPrefix: configuration.source.rootPrefix,
            timeToLive: isForever ? nil : configuration.metadataTTL, uid: configuration.uid,
            gid: configuration.gid, fileMode: configuration.fileMode,
            directoryMode: configuration.directoryMode,
            mountTime: scheduler.unixTime.components.seconds * 1_000_000_000,
            readsMetadata: readsMetadata)
        let directory = readsMetadata ? configuration.stagingDirectory : nil
        let attributes = directory.map { directory in
            IndexedAttributes(
                index: DiskAttributeIndex(directory: directory, logger: logger),
                store: client.storeName, scheduler: scheduler)
        }
        let fileSystem = FileSystem(
            configuration: FileSystemConfiguration(
                namespace: namespace, storeName: client.storeName),
            store: client, blocks: blocks, changes: changes?.rooms(client, configuration),
            attributes: attributes ?? BoundedAttributeMemory(),
            pool: BufferPool(limit: configuration.memoryLimit),
            scheduler: scheduler, notifier: notifier, logger: logger)
        return Parts(
            fileSystem: fileSystem, blocks: blocks, staging: changes?.staging,
            attributes: attributes)
    }

    /// Ends requests and threads.
    func close() {
        transport.shutdown()
        scheduler.shutdown()
    }

    /// Files that options name must be there.
    private static func checkFiles(
        _ configuration: MountConfiguration
    ) throws(CommandFailure) {
        guard let path = configuration.caBundle, unsafe access(path, R_OK) != 0 else { return }
        throw CommandFailure(
            "cannot read the certificates in \(Escaping.line(path)) (--ca-bundle or AWS_CA_BUNDLE): "
                + Text.of(errno: errno), .noInput)
    }
}
