// The block store's face: what the file system asks of the local disk.

/// What names one version of one object's bytes, in every mount of every process.
public struct ObjectIdentity: Hashable, Sendable {
    /// Endpoint and bucket, e.g. `https://s3.eu-west-1.amazonaws.com/my-bucket`.
    public var store: String
    public var key: [UInt8]
    public var etag: String
    /// Bytes.
    public var size: Int64

    public init(store: String, key: [UInt8], etag: String, size: Int64) {
        self.store = store
        self.key = key
        self.etag = etag
        self.size = size
    }
}

/// Geometry shared by memory and disk.
public enum BlockGeometry {
    /// Bytes of a block: the unit of caching and eviction.
    public static let blockSize = 1 << 20
    /// Bytes of a chunk: the unit of validity and checksum, 64 to a block (one bit each in a UInt64).
    public static let chunkSize = 1 << 14
    public static let chunksPerBlock = 64
}

/// Blocks of objects on the local disk.
public protocol BlockStorage: AnyObject, Sendable {
    /// The cached blocks of one object version, to be kept while it is open. Nil when the store cannot
    /// serve it (disk full, directory unwritable: the caller goes on without). Touches no disk when
    /// nothing of the object is cached.
    func open(_ identity: ObjectIdentity) -> (any CachedObject)?
}

/// The blocks of one object version. Methods may wait for the local disk, `store` does not.
public protocol CachedObject: AnyObject, Sendable {
    /// Which chunks of a block are on disk: bit i is chunk i. From memory (or a mapped page), cheap.
    func present(block: Int) -> UInt64

    /// Reads whole chunks `chunks` of a block into `memory`, where chunk `chunks.lowerBound` goes to
    /// `memory[0]`. The object's last chunk is short. Each chunk's checksum is verified.
    ///
    /// - Returns: false when any chunk is absent or damaged (it is then dropped, so that the next
    ///   `present` does not show it): the memory's content is then undefined.
    func read(block: Int, chunks: Range<Int>, into memory: UnsafeMutableRawPointer) -> Bool

    /// Queues whole chunks to be written; returns at once. `release` is called, on any thread, when the
    /// memory is no longer needed, written or not (a full queue or disk drops them).
    func store(
        block: Int, chunks: Range<Int>, from memory: UnsafeRawPointer,
        release: @escaping @Sendable () -> Void)
}
