// What a mount is asked to be, and how libfuse and the kernel are told.

/// The options of one mount.
public struct MountOptions: Sendable {
    /// The largest read or write the kernel may send, in bytes: what it caps them at (256 pages).
    public static let transferSize = 1 << 20

    /// Absolute path of the directory to mount on.
    public var mountpoint: String
    /// What /proc/mounts shows as the source, e.g. `bucket:/base`.
    public var source: String
    /// The type is shown as `fuse.SUBTYPE`.
    public var subtype: String
    /// The kernel answers EROFS to every change.
    public var readOnly: Bool
    /// Other users may use the mount.
    public var allowOther: Bool
    /// The kernel checks permission bits itself.
    public var defaultPermissions: Bool
    /// libfuse's worker threads at most.
    public var maxThreads: Int
    /// KiB the kernel may read ahead; applied after the mount where permitted.
    public var readAheadKiB: Int
    /// Further `-o` options, as written, e.g. `noatime`.
    public var extra: [String]

    public init(
        mountpoint: String, source: String, subtype: String = "pail", readOnly: Bool = true,
        allowOther: Bool = false, defaultPermissions: Bool = true, maxThreads: Int = 16,
        readAheadKiB: Int = 1024, extra: [String] = []
    ) {
        self.mountpoint = mountpoint
        self.source = source
        self.subtype = subtype
        self.readOnly = readOnly
        self.allowOther = allowOther
        self.defaultPermissions = defaultPermissions
        self.maxThreads = maxThreads
        self.readAheadKiB = readAheadKiB
        self.extra = extra
    }

    /// The arguments of fuse_session_new(3): `-o` groups, one option each, so that only commas and
    /// backslashes within a value need escaping.
    var arguments: [String] {
        var options = [
            "fsname=" + Self.escaped(source), "subtype=" + Self.escaped(subtype),
            // libfuse 3.14 wants this equal to conn.max_read.
            "max_read=\(Self.transferSize)",
        ]
        options.append(readOnly ? "ro" : "rw")
        if allowOther { options.append("allow_other") }
        if defaultPermissions { options.append("default_permissions") }
        options += extra
        return ["pail"] + options.flatMap { ["-o", $0] }
    }

    /// libfuse takes commas for separators and backslashes for escapes; a newline would break the
    /// line in /proc/mounts' readers, and the kernel writes it as `\012`.
    private static func escaped(_ value: String) -> String {
        var result = ""
        for character in value {
            if character == "," || character == "\\" { result.append("\\") }
            result.append(character)
        }
        return result
    }
}
