// The media type of a name by its extension. Names are bytes, as the file system has them. It never
// opens a file: whoever starts the program hands it the text of /etc/mime.types. Immutable, no lock.

/// Which Content-Type an object gets for its name.
public struct ContentTypes: Sendable {
    /// The type of what nothing is known about. RFC 9110 and browsers know this one; S3's own default,
    /// binary/octet-stream, is not a registered type.
    public static let unknown = "application/octet-stream"
    /// The type of an object that stands for a directory, as s3fs writes it.
    public static let directory = "application/x-directory"
    /// How many bytes of a mime.types file are read; Debian's has about 70 kB.
    public static let mostBytes = 1 << 20
    /// The longest extension, in bytes, that is looked for.
    static let longestExtension = 64

    private var types: [[UInt8]: String] = [:]

    /// The built-in types, and over them the lines of `mimeTypes`: the machine's administrator knows
    /// better. Of more than `mostBytes` the rest is left out, from the last whole line.
    public init(mimeTypes: [UInt8] = []) {
        read(Array(Self.builtin.utf8)[...])
        var text = mimeTypes[...]
        if text.count > Self.mostBytes {
            text = text.prefix(Self.mostBytes)
            text = text.prefix(through: text.lastIndex(of: 0x0A) ?? text.startIndex)
        }
        read(text)
    }

    /// The Content-Type of the file `name`, one path component. The longest known extension wins
    /// (`tar.gz` before `gz`); case does not matter; the dot that hides a file opens no extension.
    public func type(of name: [UInt8]) -> String {
        let start = max(1, name.count - Self.longestExtension - 1)
        for index in name.indices.dropFirst(start) where name[index] == 0x2E {
            if let type = types[name[(index + 1)...].map(Self.lower)] { return type }
        }
        return Self.unknown
    }

    private mutating func read(_ text: ArraySlice<UInt8>) {
        for line in text.split(separator: 0x0A) {
            let words = line.prefix { $0 != 0x23 }
                .split { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
            guard words.count > 1, Self.isType(words[0]) else { continue }
            let type = Self.withCharset(String(decoding: words[0], as: UTF8.self))
            for word in words.dropFirst() where word.count <= Self.longestExtension {
                types[word.map(Self.lower)] = type
            }
        }
    }

    /// Whether `word` may stand in a header: token "/" token, RFC 9110 section 8.3.1.
    private static func isType(_ word: ArraySlice<UInt8>) -> Bool {
        let halves = word.split(separator: 0x2F, omittingEmptySubsequences: false)
        return halves.count == 2
            && halves.allSatisfy { !$0.isEmpty && $0.allSatisfy(isToken) }
    }

    private static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    /// Text is UTF-8 unless it says otherwise itself; without this, browsers guess Latin-1. XML names
    /// its own encoding, and JSON has no such parameter (RFC 8259).
    private static func withCharset(_ type: String) -> String {
        let lower = type.lowercased()
        guard lower.hasPrefix("text/"), lower != "text/xml" else { return type }
        return type + "; charset=utf-8"
    }

    private static func lower(_ byte: UInt8) -> UInt8 {
        (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
    }
}
