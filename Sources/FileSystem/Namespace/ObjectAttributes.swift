// File attributes as they are kept in an object's user metadata: `mtime`, `ctime`, `mode`, `uid`,
// `gid` in decimal, as s3fs writes them; rclone's `mtime` is the same name with more digits.
//
// Times are seconds since 1970, possibly with a fraction. `mode` is a whole st_mode; its type bits
// tell symbolic links (whose target is the object's body) from files. What makes no sense counts as
// not there.
// Source: https://github.com/s3fs-fuse/s3fs-fuse/wiki, https://rclone.org/s3/#modification-times

/// What an object's metadata tells of a file; nil where it tells nothing.
public struct ObjectAttributes: Hashable, Sendable {
    /// Permission bits (`0o7777`).
    public var permissions: UInt16?
    public var uid: UInt32?
    public var gid: UInt32?
    /// Nanoseconds since 1970.
    public var modified: Int64?
    /// Nanoseconds since 1970.
    public var changed: Int64?
    public var isSymbolicLink: Bool

    public init(
        permissions: UInt16? = nil, uid: UInt32? = nil, gid: UInt32? = nil,
        modified: Int64? = nil, changed: Int64? = nil, isSymbolicLink: Bool = false
    ) {
        self.permissions = permissions
        self.uid = uid
        self.gid = gid
        self.modified = modified
        self.changed = changed
        self.isSymbolicLink = isSymbolicLink
    }

    /// - Parameter metadata: names in lower case without `x-amz-meta-`.
    public init(metadata: [String: String]) {
        self.init()
        if let mode = metadata["mode"].flatMap({ UInt32($0) }) {
            permissions = UInt16(mode & 0o7777)
            isSymbolicLink = mode & 0o170000 == 0o120000
        }
        uid = metadata["uid"].flatMap { UInt32($0) }
        gid = metadata["gid"].flatMap { UInt32($0) }
        modified = metadata["mtime"].flatMap { Self.time($0) }
        changed = metadata["ctime"].flatMap { Self.time($0) }
    }

    /// The object's metadata tells nothing.
    public var isEmpty: Bool { self == ObjectAttributes() }

    /// Decimal seconds, possibly negative or with a fraction, as nanoseconds.
    static func time(_ text: String) -> Int64? {
        let isNegative = text.hasPrefix("-")
        let parts = text.dropFirst(isNegative ? 1 : 0)
            .split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = parts.first, !whole.isEmpty, whole.utf8.allSatisfy(isDigit),
            let seconds = Int64(whole), seconds < Int64.max / 1_000_000_000
        else { return nil }
        var nanoseconds = seconds * 1_000_000_000
        if parts.count == 2 {
            guard parts[1].utf8.allSatisfy(isDigit) else { return nil }
            let digits = parts[1].prefix(9)
            let padding = String(repeating: "0", count: 9 - digits.count)
            nanoseconds += Int64(digits + padding) ?? 0
        }
        return isNegative ? -nanoseconds : nanoseconds
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) }
}
