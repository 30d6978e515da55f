// What the simulated server names contents by: equal for equal bytes, in the form of an MD5.

import S3

/// Not a cryptographic digest, only one that tells contents of tests apart.
enum ContentDigest {
    /// The ETag of an object that was put at once.
    static func etag(of bytes: [UInt8]) -> ETag {
        var (low, high): (UInt64, UInt64) = (0x243F_6A88_85A3_08D3, 0x1319_8A2E_0370_7344)
        bytes.withUnsafeBytes { raw in
            var offset = 0
            while offset + 8 <= raw.count {
                mix(raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self), &low, &high)
                offset += 8
            }
            var rest: UInt64 = UInt64(raw.count) << 8
            for index in offset..<raw.count { rest = rest &* 257 &+ UInt64(raw[index]) &+ 1 }
            mix(rest, &low, &high)
        }
        return ETag(text(low, high))
    }

    /// The ETag of a completed multipart upload: of its parts' ETags, and how many there are.
    static func etag(ofParts etags: [ETag]) -> ETag {
        let joined = Array(etags.map(\.text).joined().utf8)
        return ETag(etag(of: joined).text + "-\(etags.count)")
    }

    private static func mix(_ word: UInt64, _ low: inout UInt64, _ high: inout UInt64) {
        low = (low ^ word) &* 0x9FB2_1C65_1E98_DF25
        low ^= low >> 32
        high = (high &+ low) &* 0xD6E8_FEB8_6659_FD93
        high ^= high >> 29
    }

    /// 32 hexadecimal digits.
    static func text(_ high: UInt64, _ low: UInt64) -> String {
        let word = { (value: UInt64) in
            let digits = String(value, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }
        return word(high) + word(low)
    }
}
