/// How the namespace shows the bucket.
public struct NamespaceConfiguration: Sendable {
    /// What every key begins with: empty, or ending in `/`.
    public var rootPrefix: [UInt8]
    /// How long names and attributes are believed; nil for ever, zero always asks.
    public var timeToLive: Duration?
    public var uid: UInt32
    public var gid: UInt32
    /// Permission bits.
    public var fileMode: UInt16
    public var directoryMode: UInt16
    /// Bytes for listings that the kernel and open handles do not hold.
    public var memoryLimit: Int
    /// Modification time of directories without a marker, in nanoseconds since 1970.
    public var mountTime: Int64
    /// Attributes are read from the objects' metadata (a HEAD for each version not known yet); else
    /// every file shows the defaults above.
    public var readsMetadata: Bool

    public init(
        rootPrefix: [UInt8] = [], timeToLive: Duration? = .seconds(60), uid: UInt32 = 0,
        gid: UInt32 = 0, fileMode: UInt16 = 0o644, directoryMode: UInt16 = 0o755,
        memoryLimit: Int = 32 << 20, mountTime: Int64 = 0,
        readsMetadata: Bool = false
    ) {
        precondition(rootPrefix.isEmpty || rootPrefix.last == 0x2F)
        self.rootPrefix = rootPrefix
        self.timeToLive = timeToLive
        self.uid = uid
        self.gid = gid
        self.fileMode = fileMode
        self.directoryMode = directoryMode
        self.memoryLimit = memoryLimit
        self.mountTime = mountTime
        self.readsMetadata = readsMetadata
    }
}
