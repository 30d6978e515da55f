// Is this a directory we can mount on? Asked before anything slow is done, so that a wrong mountpoint is
// told at once and in words. A mount that hangs does not hold the checks up (see Probe).

internal import CFuse
internal import Glibc
internal import Operations

/// Checks of mountpoints.
public enum Mountpoint {
    /// What the checks look at; tests name others.
    public struct Surroundings: Sendable {
        public var device = "/dev/fuse"
        public var configuration = "/etc/fuse.conf"
        public var table = MountTable.current()
        public var userID: UInt32 = geteuid()
        public var searchPath =
            unsafe getenv("PATH").map { unsafe String(cString: $0) }
            ?? "/usr/local/bin:/usr/bin:/bin"
        public var hasAdminCapability = Mountpoint.hasAdminCapability()

        public init() {}
    }

    /// Checks that `path` can be mounted on.
    ///
    /// - Parameters:
    ///   - path: absolute or relative to the working directory.
    ///   - allowNonEmpty: a directory with files in it is fine.
    ///   - allowOther: the mount will be open to other users.
    /// - Returns: the absolute path without symbolic links, to mount on.
    public static func check(
        _ path: String, allowNonEmpty: Bool = false, allowOther: Bool = false,
        in surroundings: Surroundings = Surroundings()
    ) throws(MountpointError) -> String {
        let isRoot = surroundings.userID == 0
        let written = absolute(path)
        try probe(written, in: surroundings.table)
        let resolved = try resolve(
            path, missing: MountpointError.missing, table: surroundings.table)
        if resolved != written { try probe(resolved, in: surroundings.table) }
        if let entry = surroundings.table.entry(at: resolved), entry.isPail {
            throw .alreadyMounted(resolved, source: entry.source)
        }
        try checkDirectory(resolved, allowNonEmpty: allowNonEmpty, isRoot: isRoot)
        try checkDevice(surroundings, allowOther: allowOther, isRoot: isRoot)
        return resolved
    }

    /// The absolute path without symbolic links. The last component is not touched if it is a mount
    /// already: its daemon may be dead.
    static func resolve(
        _ path: String, missing: (String) -> MountpointError,
        table: MountTable = MountTable.current()
    ) throws(MountpointError) -> String {
        guard !path.isEmpty else { throw missing("''") }
        var trimmed = path[...]
        while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
        let slash = trimmed.lastIndex(of: "/")
        let name = slash.map { String(trimmed[trimmed.index(after: $0)...]) } ?? String(trimmed)
        let parent = slash.map { $0 == trimmed.startIndex ? "/" : String(trimmed[..<$0]) } ?? "."
        if name != "." && name != "..", let parent = realPath(parent) {
            let joined = parent == "/" ? "/\(name)" : "\(parent)/\(name)"
            if table.entry(at: joined) != nil { return joined }
        }
        if let whole = realPath(String(trimmed)) { return whole }
        switch errno {
        case ENOENT: throw missing(path)
        case ENOTDIR: throw .notDirectory(path)
        case let number: throw .unreachable(path, Errno(rawValue: number))
        }
    }

    private static func realPath(_ path: String) -> String? {
        guard let found = unsafe realpath(path, nil) else { return nil }
        defer { unsafe free(found) }
        return unsafe String(cString: found)
    }

    private static func checkDirectory(
        _ path: String, allowNonEmpty: Bool, isRoot: Bool
    ) throws(MountpointError) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else {
            switch errno {
            case ENOENT: throw .missing(path)
            case let number: throw .unreachable(path, Errno(rawValue: number))
            }
        }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw .notDirectory(path) }
        // fusermount3 asks for the same.
        if !isRoot, unsafe access(path, W_OK) != 0 { throw .notWritable(path) }
        if allowNonEmpty { return }
        guard let directory = unsafe opendir(path) else {
            throw .unreachable(path, Errno(rawValue: errno))
        }
        defer { unsafe closedir(directory) }
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
            }
            if name != "." && name != ".." { throw .notEmpty(path) }
        }
    }

    private static func checkDevice(
        _ surroundings: Surroundings, allowOther: Bool, isRoot: Bool
    ) throws(MountpointError) {
        let device = unsafe open(surroundings.device, O_RDWR | O_CLOEXEC)
        if device < 0 {
            switch errno {
            case ENOENT, ENODEV, ENXIO: throw .noDevice
            case let number: throw .deviceNotPermitted(Errno(rawValue: number))
            }
        }
        close(device)
        if isRoot {
            if !surroundings.hasAdminCapability { throw .noAdminCapability }
            return
        }
        let hasHelper = surroundings.searchPath.split(separator: ":").contains {
            unsafe access("\($0)/fusermount3", X_OK) == 0
        }
        if !hasHelper { throw .noHelper }
        if allowOther, !allowsOthers(contents(of: surroundings.configuration)) {
            throw .allowOtherNotAllowed
        }
    }

    /// True when the text of fuse.conf lets users say allow_other.
    static func allowsOthers(_ configuration: [UInt8]) -> Bool {
        String(decoding: configuration, as: UTF8.self).split(separator: "\n").contains { line in
            let text = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace)
            return text.count == 1 && text[0] == "user_allow_other"
        }
    }

    /// True when this process may mount: bit 21 of its effective capabilities, capabilities(7).
    public static func hasAdminCapability() -> Bool {
        let status = String(decoding: contents(of: "/proc/self/status"), as: UTF8.self)
        for line in status.split(separator: "\n") where line.hasPrefix("CapEff:") {
            let digits = line.dropFirst(7).drop(while: \.isWhitespace)
            return (UInt64(digits, radix: 16) ?? .max) & (1 << 21) != 0
        }
        return true
    }
}
