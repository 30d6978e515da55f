// One name in a directory, as a fixed-size record.

import Operations
import S3

/// A name's record: 56 bytes; the name's bytes are in the listing's arena.
struct Entry {
    struct Flags: OptionSet {
        let rawValue: UInt8
        static let directory = Flags(rawValue: 1)
        /// In the inode table: the kernel knows it, or it is a directory with state.
        static let held = Flags(rawValue: 2)
        /// Learned by a single lookup, not by the listing: not part of its order.
        static let single = Flags(rawValue: 4)
        /// The name is known not to exist; the record is kept for an inode in use.
        static let gone = Flags(rawValue: 8)
        /// A newer record has taken over the name and the inode.
        static let moved = Flags(rawValue: 16)
        /// Something contradicted it: ask before it is believed again.
        static let suspect = Flags(rawValue: 32)
        /// Its attributes are known: those in the details, else the mount's defaults.
        static let known = Flags(rawValue: 64)
        /// An unsettled change: believed whatever the bucket shows.
        static let local = Flags(rawValue: 128)
    }

    /// Given when the record is made, ascending in listing order.
    var number: InodeNumber
    /// Bytes; 0 for directories.
    var size: Int64 = 0
    /// Nanoseconds since 1970; `unknownTime` for a directory without a known marker.
    var modified: Int64 = Entry.unknownTime
    /// A directory's: its marker's.
    var etag = CompactETag()
    /// Start of the name in the arena.
    var nameStart: UInt32 = 0
    /// When a request last confirmed this name alone, in milliseconds of the namespace; 0 never.
    var checked: UInt32 = 0
    var nameCount: UInt8 = 0
    var flags: Flags = []
    /// Index into the namespace's storage classes.
    var storageClass: UInt8 = 0

    static let unknownTime = Int64.min

    var isDirectory: Bool { flags.contains(.directory) }
}

/// An ETag in 20 bytes: an MD5, an MD5 with a part count, or the index of an unusual text.
struct CompactETag: Equatable {
    private var high: UInt64 = 0
    private var low: UInt64 = 0
    /// Parts (0: none), or with the top bit set the index of the text.
    private var suffix: UInt32 = 0

    private static let odd: UInt32 = 0x8000_0000

    /// - Parameter texts: takes a text that is not `32 hex digits[-parts]`.
    init(_ etag: ETag, texts: inout [String]) {
        if parse(etag.text) { return }
        (high, low) = (0, 0)
        if let last = texts.last, last == etag.text {
            suffix = Self.odd | UInt32(texts.count - 1)
        } else {
            suffix = Self.odd | UInt32(texts.count)
            texts.append(etag.text)
        }
    }

    init() {}

    /// The same ETag for another listing's texts.
    func carried(from old: [String], to texts: inout [String]) -> CompactETag {
        suffix & Self.odd == 0 ? self : CompactETag(etag(texts: old), texts: &texts)
    }

    /// The ETag in full.
    func etag(texts: [String]) -> ETag {
        if suffix & Self.odd != 0 { return ETag(texts[Int(suffix & ~Self.odd)]) }
        var text = Self.hex(high) + Self.hex(low)
        if suffix != 0 { text += "-\(suffix)" }
        return ETag(text)
    }

    private static func hex(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    private mutating func parse(_ text: String) -> Bool {
        let bytes = text.utf8
        guard bytes.count == 32 || (34...38).contains(bytes.count) else { return false }
        var count = 0
        var parts: UInt32 = 0
        for byte in bytes {
            if count < 32 {
                let digit: UInt64
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = UInt64(byte &- 48)
                case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = UInt64(byte &- 87)
                default: return false
                }
                if count < 16 { high = high << 4 | digit } else { low = low << 4 | digit }
            } else if count == 32 {
                guard byte == UInt8(ascii: "-") else { return false }
            } else {
                guard (48...57).contains(byte), parts > 0 || byte != 48 else { return false }
                parts = parts * 10 + UInt32(byte - 48)
            }
            count += 1
        }
        suffix = parts
        return true
    }
}
