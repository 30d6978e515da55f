// A file's attributes as S3 keeps them: user metadata with the names and spellings of s3fs, which
// most tools that mount buckets read.
//
// Source: s3fs-fuse, doc/man and its own objects: `mtime` in seconds with an optional fraction,
// `mode` st_mode in decimal with the type bits, `uid` and `gid` in decimal.

import Operations
import S3

/// The attributes of one file in user metadata.
enum AttributeHeaders {
    /// Names that hold attributes; anything else in the metadata is the user's own.
    static let names: Set<String> = ["mtime", "ctime", "atime", "mode", "uid", "gid"]

    private static func typeBits(_ kind: FileAttributes.Kind) -> UInt32 {
        switch kind {
        case .file, .unknown: 0o100000
        case .directory: 0o040000
        case .symbolicLink: 0o120000
        }
    }

    /// The metadata of a file with these attributes, over what the user keeps there.
    static func metadata(
        kind: FileAttributes.Kind, permissions: UInt16, uid: UInt32, gid: UInt32, modified: Int64,
        over users: [String: String] = [:]
    ) -> [String: String] {
        var metadata = users
        metadata["mode"] = String(typeBits(kind) | UInt32(permissions & 0o7777))
        metadata["uid"] = String(uid)
        metadata["gid"] = String(gid)
        metadata["mtime"] = seconds(modified)
        metadata["ctime"] = nil
        metadata["atime"] = nil
        return metadata
    }

    /// Nanoseconds as decimal seconds, the fraction only where there is one; a time before 1970 is a
    /// negative number as `ObjectAttributes.time` reads it: -1.5 is a second and a half before.
    static func seconds(_ nanoseconds: Int64) -> String {
        let (whole, fraction) = nanoseconds.magnitude.quotientAndRemainder(
            dividingBy: 1_000_000_000)
        let sign = nanoseconds < 0 ? "-" : ""
        guard fraction != 0 else { return "\(sign)\(whole)" }
        let digits = String(fraction)
        return "\(sign)\(whole)." + String(repeating: "0", count: 9 - digits.count) + digits
    }
}
