// What is mounted, as the kernel tells it.
// Source: proc_pid_mountinfo(5)

import Glibc

/// One line of /proc/self/mountinfo.
struct MountEntry: Hashable {
    /// Absolute, as this process sees it.
    var mountpoint: String
    /// `ext4`, `fuse.pail`, ...
    var type: String
    /// What was mounted, e.g. `my-bucket:/assets`.
    var source: String

    /// True for mounts of this program.
    var isPail: Bool { type == "fuse.pail" }
}

/// Reads the kernel's table of mounts.
enum MountTable {
    /// Every mount this process sees, later ones on top of earlier ones. Does not touch the mounts
    /// themselves, so a dead one cannot hang it.
    static func entries() -> [MountEntry] {
        guard let stream = unsafe fopen("/proc/self/mountinfo", "re") else { return [] }
        defer { unsafe fclose(stream) }
        var entries: [MountEntry] = []
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { unsafe free(line) }
        while unsafe getline(&line, &capacity, stream) > 0 {
            guard let text = unsafe line else { break }
            if let entry = entry(unsafe String(cString: text)) { entries.append(entry) }
        }
        return entries
    }

    /// Reads `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`.
    static func entry(_ line: String) -> MountEntry? {
        let fields = line.split(whereSeparator: \.isWhitespace)
        guard let dash = fields.firstIndex(of: "-"), dash >= 6, fields.count > dash + 2 else {
            return nil
        }
        return MountEntry(
            mountpoint: unescaped(fields[4]), type: unescaped(fields[dash + 1]),
            source: unescaped(fields[dash + 2]))
    }

    /// The kernel writes space, tab, newline and backslash as three octal digits.
    private static func unescaped(_ field: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(field.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3,
                let code = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                bytes.append(code)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The mount on top at a path: links above it are followed, the mounted directory itself is not
    /// looked at.
    static func top(at path: String) -> MountEntry? {
        let real = resolved(path)
        return entries().last { $0.mountpoint == real }
    }

    /// `path` with the links of everything but its last component followed.
    static func resolved(_ path: String) -> String {
        var trimmed = path[...]
        while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
        guard let slash = trimmed.lastIndex(of: "/") else { return String(trimmed) }
        let name = trimmed[trimmed.index(after: slash)...]
        let parent = slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
        // `.` and `..` name a directory by another's entry: nothing but asking tells which.
        let asked = name == "." || name == ".." ? String(trimmed) : parent
        guard let real = unsafe realpath(asked, nil) else { return String(trimmed) }
        defer { unsafe free(real) }
        let base = unsafe String(cString: real)
        if asked == trimmed { return base }
        return base == "/" ? "/" + name : base + "/" + name
    }
}
