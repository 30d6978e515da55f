// What proves that bytes arrived as they were sent: MD5 and CRC32C, and Base64 to write them down.

internal import COpenSSL
internal import CPlatform

/// MD5 over a stream. Proves integrity only, which is why "-fips" is asked for.
@safe final class MD5 {
    @safe private struct Algorithm: @unchecked Sendable {
        let pointer: OpaquePointer
    }

    private static let algorithm: Algorithm = {
        guard let fetched = unsafe EVP_MD_fetch(nil, "MD5", "-fips") else {
            fatalError("OpenSSL offers no MD5")
        }
        return unsafe Algorithm(pointer: fetched)
    }()

    private let context: OpaquePointer

    init() {
        guard let context = unsafe EVP_MD_CTX_new() else { fatalError("OpenSSL has no memory") }
        unsafe self.context = context
        reset()
    }

    deinit { unsafe EVP_MD_CTX_free(context) }

    func reset() {
        let done = unsafe EVP_DigestInit_ex2(context, Self.algorithm.pointer, nil)
        precondition(done == 1, "OpenSSL failed to begin a digest")
    }

    func update(_ bytes: UnsafeRawBufferPointer) {
        unsafe _ = EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
    }

    /// The digest of all bytes since `reset`.
    func finish() -> DigestBytes {
        unsafe DigestBytes(unsafeUninitializedCapacity: 16) { out, count in
            let done = unsafe EVP_DigestFinal_ex(context, out.baseAddress, nil)
            precondition(done == 1, "OpenSSL failed to end a digest")
            count = 16
        }
    }

    /// Digest of the whole of `bytes`.
    static func hash(_ bytes: [UInt8]) -> DigestBytes {
        let digest = MD5()
        unsafe bytes.withUnsafeBytes { unsafe digest.update($0) }
        return digest.finish()
    }
}

/// CRC32C as S3 writes it.
enum CRC32C {
    /// Goes on from `crc`, 0 to begin.
    static func update(_ crc: UInt32, _ bytes: UnsafeRawBufferPointer) -> UInt32 {
        unsafe pail_crc32c(crc, bytes.baseAddress, bytes.count)
    }

    /// Base64 of the big-endian value.
    static func text(_ crc: UInt32) -> String {
        Base64.encode([24, 16, 8, 0].map { UInt8(truncatingIfNeeded: crc >> $0) })
    }
}

/// RFC 4648, section 4.
enum Base64 {
    private static let digits = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        var index = 0
        while index < bytes.count {
            let rest = bytes[index...].prefix(3)
            var group: UInt32 = 0
            for place in 0..<3 {
                group = group << 8 | (place < rest.count ? UInt32(bytes[index + place]) : 0)
            }
            for place in 0..<4 {
                let digit = digits[Int(group >> (18 - 6 * UInt32(place)) & 63)]
                text.append(place <= rest.count ? digit : 0x3D)
            }
            index += 3
        }
        return String(decoding: text, as: UTF8.self)
    }
}

extension [UInt8] {
    /// As lower-case hexadecimal digits.
    var hex: String {
        var text: [UInt8] = []
        text.appendHex(self)
        return String(decoding: text, as: UTF8.self)
    }
}
