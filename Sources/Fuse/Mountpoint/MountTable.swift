// What is mounted where, from /proc/self/mountinfo (proc(5)). Never touches a mount itself: a dead or
// hung one must not hold us up.

internal import Glibc

/// The mounts of this process's namespace, in the order they were made.
public struct MountTable: Sendable {
    /// One mount.
    public struct Entry: Sendable, Equatable {
        /// `MAJOR:MINOR`.
        public var device: String
        /// Absolute path, unescaped.
        public var mountpoint: String
        /// E.g. `ext4`, `fuse.pail`.
        public var type: String
        /// E.g. `bucket:/base`, unescaped.
        public var source: String
        /// Who mounted it, if it is a FUSE mount.
        public var owner: UInt32?

        /// True for mounts that pail made.
        public var isPail: Bool { type == "fuse.pail" }
        /// True for every FUSE mount.
        public var isFuse: Bool { type == "fuse" || type == "fuseblk" || type.hasPrefix("fuse.") }
    }

    public var entries: [Entry]

    /// Reads the table of this process.
    public static func current() -> MountTable {
        MountTable(mountinfo: contents(of: "/proc/self/mountinfo"))
    }

    /// Parses the text of a mountinfo file; lines that make no sense are left out.
    public init(mountinfo: [UInt8]) {
        entries = mountinfo.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let fields = line.split(separator: UInt8(ascii: " "))
            // Optional fields end with a lone "-".
            guard fields.count >= 10,
                let dash = fields.dropFirst(6).firstIndex(where: { $0.elementsEqual([45]) }),
                dash + 2 < fields.endIndex
            else { return nil }
            return Entry(
                device: String(decoding: fields[2], as: UTF8.self),
                mountpoint: Self.unescaped(fields[4]), type: Self.unescaped(fields[dash + 1]),
                source: Self.unescaped(fields[dash + 2]),
                owner: fields.dropFirst(dash + 3).first.flatMap { Self.owner($0) })
        }
    }

    /// The topmost mount at exactly this path.
    public func entry(at path: String) -> Entry? {
        entries.last { $0.mountpoint == path }
    }

    /// `user_id=` among the options of a FUSE mount.
    private static func owner(_ options: ArraySlice<UInt8>) -> UInt32? {
        let name = Array("user_id=".utf8)
        let option = options.split(separator: UInt8(ascii: ",")).first { $0.starts(with: name) }
        return option.flatMap { UInt32(String(decoding: $0.dropFirst(name.count), as: UTF8.self)) }
    }

    /// The kernel writes space, tab, newline, backslash and `#` as `\ooo`.
    private static func unescaped(_ field: ArraySlice<UInt8>) -> String {
        var result: [UInt8] = []
        var index = field.startIndex
        while index < field.endIndex {
            let digits = field[index...].dropFirst().prefix(3)
            if field[index] == UInt8(ascii: "\\"), digits.count == 3,
                digits.allSatisfy({ (48...55).contains($0) })
            {
                result.append(UInt8(truncatingIfNeeded: digits.reduce(0) { $0 * 8 + Int($1) - 48 }))
                index += 4
            } else {
                result.append(field[index])
                index += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}

/// The whole of a small file; empty when it cannot be read.
func contents(of path: String) -> [UInt8] {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return [] }
    defer { close(file) }
    var result: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = unsafe read(file, &chunk, chunk.count)
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { return result }
        result += chunk[..<count]
    }
}
