// Directories of a test's own, removed when the test lets go of them. Nothing is removed that is
// still mounted: a mount below such a directory is detached first.

import Foundation
import Testing

final class TemporaryDirectory {
    let path: String

    /// - Parameter base: where; another user cannot enter TMPDIR.
    init(_ name: String, in base: String? = nil) throws {
        let base = base ?? ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
        var template = Array("\(base)/pail-\(name).XXXXXX".utf8CString)
        let made = mkdtemp(&template)
        try #require(made != nil, "no temporary directory below \(base)")
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        for mount in mountPoints(under: path) { umount2(mount, Int32(MNT_DETACH)) }
        try? FileManager.default.removeItem(atPath: path)
    }

    static func / (directory: TemporaryDirectory, name: String) -> String {
        "\(directory.path)/\(name)"
    }

    /// Makes a directory inside and returns its path.
    func makeDirectory(_ name: String) throws -> String {
        try FileManager.default.createDirectory(
            atPath: self / name, withIntermediateDirectories: true)
        return self / name
    }
}

/// Mount points at or below a path, the deepest first.
func mountPoints(under path: String) -> [String] {
    let table = (try? String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)) ?? ""
    return table.split(separator: "\n").compactMap { line in
        let point = String(line.split(separator: " ")[4])
        return point == path || point.hasPrefix(path + "/") ? point : nil
    }.sorted { $0.count > $1.count }
}

extension String {
    /// Writes random bytes, or the text given, to the file this path names.
    func write(text: String) throws {
        try text.write(toFile: self, atomically: false, encoding: .utf8)
    }

    func writeRandom(bytes: Int) throws {
        try must(
            "dd", "if=/dev/urandom", "of=\(self)", "bs=1M", "iflag=fullblock,count_bytes",
            "count=\(bytes)", "status=none", limit: 120)
    }
}
