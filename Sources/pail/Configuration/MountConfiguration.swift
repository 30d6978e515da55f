// Everything a mount is made from: options, environment and defaults put together. A value; building
// it touches neither disk nor network (names of users are looked up through `Surroundings`).

import Logging

/// One mount, decided.
struct MountConfiguration: Hashable, Sendable {
    /// How the bucket is written in URLs.
    enum Addressing: Hashable, Sendable { case path, virtualHosted }

    var source: BucketSource
    /// Absolute.
    var mountpoint: String

    /// Nil: the profile's, else asked of S3.
    var region: String?
    /// Nil: Amazon's.
    var endpoint: String?
    /// As given; the environment's and the default are the credential chain's business.
    var profile: String?
    /// Absolute.
    var credentialsCSV: String?
    var isAnonymous = false
    /// Nil: as the server and the bucket's name need it.
    var addressing: Addressing?
    var isRequesterPays = false
    /// Absolute. Nil: the system's.
    var caBundle: String?
    var maxConnections = 64

    /// Absolute; nil: nothing is kept on disk.
    var cacheDirectory: String?
    /// Absolute: where files wait until they are published, also without a cache.
    var stagingDirectory: String?
    /// Bytes; nil: `defaultCacheSize`.
    var cacheSize: Int64?
    /// Nil: `defaultCacheFree`.
    var cacheFree: FreeSpace?
    /// Bytes.
    var memoryLimit = 256 << 20
    var metadataTTL = Duration.seconds(60)

    var uid: UInt32
    var gid: UInt32
    var fileMode: UInt16 = 0o644
    var directoryMode: UInt16 = 0o755
    var isReadOnly = false
    var allowsOthers = false
    var allowsNonEmpty = false

    /// close(2) is answered when the bytes are safe on the local disk.
    var isWriteBack = false
    /// Bytes of files that are not in the bucket yet.
    var stagingLimit = defaultStaging
    /// Bytes; nil: they grow with the file.
    var partSize: Int64?
    /// At unmount, how long to wait for what is not in the bucket yet.
    var flushTimeout = Duration.seconds(300)
    /// Bytes that statfs(2) shows; nil: plenty.
    var quota: Int64?
    /// Nil: the server's.
    var storageClass: String?
    /// A canned ACL.
    var acl: String?
    var encryption = Encryption.none
    var tags: [Tag] = []
    /// Rules `PATTERN=VALUE`.
    var cacheControl: [String] = []
    var contentType: [String] = []
    /// Owner, mode and times are read from objects' metadata; nil: if the mount can be written to.
    var readsMetadata: Bool?

    var staysInForeground = false
    var logLevel = Logger.Level.info
    /// Absolute.
    var logFile: String?
    var debugHTTP = false

    /// The least memory limit pail works with, in bytes.
    static let leastMemory: Int64 = 64 << 20
    /// The least cache size worth having, in bytes.
    static let leastCache: Int64 = 16 << 20

    /// The cache size when none is given: 10 GiB, or a tenth of the disk if that is less.
    static func defaultCacheSize(ofDisk total: Int64) -> Int64 { min(10 << 30, total / 10) }

    /// The free space when none is given: 5 % of the disk, at least 1 GiB.
    static func defaultCacheFree(ofDisk total: Int64) -> Int64 { max(1 << 30, total / 20) }

    /// Bytes of files that are not in the bucket yet, when nobody says.
    static let defaultStaging: Int64 = 2 << 30

    /// The least staging limit pail works with, in bytes.
    static let leastStaging: Int64 = 64 << 20

    /// Where blocks are kept when nobody says.
    static func defaultCacheDirectory(_ surroundings: Surroundings) -> String? {
        if surroundings.uid == 0 { return "/var/cache/pail" }
        if let base = surroundings.variable("XDG_CACHE_HOME"), base.hasPrefix("/") {
            return base + "/pail"
        }
        return surroundings.home.map { $0 + "/.cache/pail" }
    }

    /// Where the control sockets of a user's mounts may be, the likeliest first. A daemon makes the
    /// first.
    static func controlDirectories(_ surroundings: Surroundings, of owner: UInt32) -> [String] {
        if owner == 0 { return ["/run/pail"] }
        let isOwn = owner == surroundings.uid
        let runtime = isOwn ? surroundings.variable("XDG_RUNTIME_DIR") : "/run/user/\(owner)"
        let home = isOwn ? surroundings.home : surroundings.accounts.home(owner)
        let cache = isOwn ? defaultCacheDirectory(surroundings) : home.map { $0 + "/.cache/pail" }
        return [
            runtime.flatMap { $0.hasPrefix("/") ? $0 + "/pail" : nil },
            cache.map { $0 + "/control" },
        ].compactMap { $0 }
    }
}
