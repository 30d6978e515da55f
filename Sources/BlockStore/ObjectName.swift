// What an object version is called on disk: the SHA-256 of everything that names its bytes.

import COpenSSL

/// 32 bytes that name one object version in every process that shares a cache directory.
struct ObjectName: Hashable, Sendable {
    let words: InlineWords
    /// The first 8 bytes: enough to tell that an object is not cached.
    var prefix: UInt64 { words.a }

    /// Four big-endian words; a fixed-size value hashes and compares without memory of its own.
    struct InlineWords: Hashable, Sendable {
        var a: UInt64 = 0
        var b: UInt64 = 0
        var c: UInt64 = 0
        var d: UInt64 = 0
    }

    init(_ identity: ObjectIdentity) {
        var text: [UInt8] = []
        text.reserveCapacity(identity.store.utf8.count + identity.key.count + 64)
        text.append(contentsOf: identity.store.utf8)
        text.append(0)
        text.append(contentsOf: identity.key)
        text.append(0)
        text.append(contentsOf: identity.etag.utf8)
        text.append(0)
        text.append(contentsOf: String(identity.size).utf8)
        var words = InlineWords()
        let done = unsafe text.withUnsafeBytes { bytes in
            unsafe withUnsafeMutablePointer(to: &words) { result in
                unsafe result.withMemoryRebound(to: UInt8.self, capacity: 32) { digest in
                    unsafe EVP_Digest(
                        bytes.baseAddress, bytes.count, digest, nil, EVP_sha256(), nil)
                }
            }
        }
        precondition(done == 1, "SHA-256 is always there")
        self.init(
            words: InlineWords(
                a: UInt64(bigEndian: words.a), b: UInt64(bigEndian: words.b),
                c: UInt64(bigEndian: words.c), d: UInt64(bigEndian: words.d)))
    }

    init(words: InlineWords) { self.words = words }

    /// From the index's 32 bytes; nil when they are not 32.
    init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 32 else { return nil }
        var parts: [UInt64] = [0, 0, 0, 0]
        for (index, byte) in bytes.enumerated() {
            parts[index / 8] = parts[index / 8] << 8 | UInt64(byte)
        }
        words = InlineWords(a: parts[0], b: parts[1], c: parts[2], d: parts[3])
    }

    /// From 64 hex digits, as files are named.
    init?(hex: some StringProtocol) {
        let digits = hex.utf8.compactMap { Self.value($0) }
        guard digits.count == 64, hex.utf8.count == 64 else { return nil }
        self.init(bytes: (0..<32).map { digits[2 * $0] << 4 | digits[2 * $0 + 1] })
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x61...0x66: digit - 0x61 + 10
        default: nil
        }
    }

    /// 32 bytes, for the index.
    var bytes: [UInt8] {
        [words.a, words.b, words.c, words.d].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * UInt64($0))) }
        }
    }

    /// 64 hex digits.
    var hex: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] },
            as: UTF8.self)
    }

    /// `ab/abcd….data`, relative to `objects/`.
    var dataPath: String { "\(folder)/\(hex).data" }
    /// `ab/abcd….map`, relative to `objects/`.
    var mapPath: String { "\(folder)/\(hex).map" }
    /// `ab`.
    var folder: String { String(hex.prefix(2)) }
}
