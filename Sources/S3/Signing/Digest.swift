// SHA-256 and HMAC-SHA256 by OpenSSL, with the algorithm fetched once: EVP_sha256() and HMAC() look
// it up again at every call, which costs more than hashing a canonical request.
//
// Locks: HMACKey's mutex, a leaf.

internal import COpenSSL
internal import Synchronization

/// A 32-byte digest.
typealias DigestBytes = [UInt8]

/// SHA-256 of OpenSSL's default provider.
enum SHA256 {
    @safe private struct Algorithm: @unchecked Sendable {
        let pointer: OpaquePointer
    }

    private static let algorithm: Algorithm = {
        guard let fetched = unsafe EVP_MD_fetch(nil, "SHA2-256", nil) else {
            fatalError("OpenSSL offers no SHA2-256")
        }
        return unsafe Algorithm(pointer: fetched)
    }()

    /// Digest of the whole of `bytes`.
    static func hash(_ bytes: [UInt8]) -> DigestBytes {
        unsafe DigestBytes(unsafeUninitializedCapacity: 32) { out, count in
            let done = unsafe bytes.withUnsafeBytes { data in
                unsafe EVP_Digest(
                    data.baseAddress, data.count, out.baseAddress, nil, algorithm.pointer, nil)
            }
            precondition(done == 1, "OpenSSL failed to hash")
            count = 32
        }
    }
}

/// A key for HMAC-SHA256, made ready once and used for many messages.
@safe final class HMACKey: @unchecked Sendable {
    @safe private struct Context: ~Copyable {
        let pointer: OpaquePointer
        deinit { unsafe EVP_MAC_CTX_free(pointer) }
    }

    @safe private struct Algorithm: @unchecked Sendable {
        let pointer: OpaquePointer
    }

    private static let algorithm: Algorithm = {
        guard let fetched = unsafe EVP_MAC_fetch(nil, "HMAC", nil) else {
            fatalError("OpenSSL offers no HMAC")
        }
        return unsafe Algorithm(pointer: fetched)
    }()

    private let context: Mutex<Context>

    init(_ key: [UInt8]) {
        guard let pointer = unsafe EVP_MAC_CTX_new(Self.algorithm.pointer) else {
            fatalError("OpenSSL has no memory for a MAC")
        }
        var name = Array("SHA2-256".utf8CString)
        // An empty key must still be a key, not "use the one from before".
        let bytes = key.isEmpty ? [0] : key
        // A parameter keeps the pointers to its name and value: both must live until the key is taken
        // (a string literal as an argument lives for one call).
        let done = unsafe "digest".withCString { label in
            unsafe name.withUnsafeMutableBufferPointer { name in
                let parameters = unsafe [
                    OSSL_PARAM_construct_utf8_string(label, name.baseAddress, 0),
                    OSSL_PARAM_construct_end(),
                ]
                return unsafe EVP_MAC_init(pointer, bytes, bytes.count, parameters)
            }
        }
        precondition(done == 1, "OpenSSL failed to take a key")
        unsafe context = Mutex(Context(pointer: pointer))
    }

    /// The authentication code of `message`.
    func code(of message: [UInt8]) -> DigestBytes {
        context.withLock { context in
            let pointer = unsafe context.pointer
            return unsafe DigestBytes(unsafeUninitializedCapacity: 32) { out, count in
                // No key: begins anew with the one given at first.
                var done = unsafe EVP_MAC_init(pointer, nil, 0, nil)
                if done == 1 { done = unsafe EVP_MAC_update(pointer, message, message.count) }
                if done == 1 {
                    unsafe done = EVP_MAC_final(pointer, out.baseAddress, &count, 32)
                }
                precondition(done == 1 && count == 32, "OpenSSL failed to make a MAC")
            }
        }
    }
}

extension [UInt8] {
    /// Appends `bytes` as lower-case hexadecimal digits.
    mutating func appendHex(_ bytes: [UInt8]) {
        for byte in bytes {
            append(hexDigitLower(byte >> 4))
            append(hexDigitLower(byte & 15))
        }
    }

    /// Appends the UTF-8 bytes of `text`.
    mutating func append(_ text: String) { append(contentsOf: text.utf8) }

    /// Appends ASCII text that is known at compile time.
    mutating func append(_ text: StaticString) {
        unsafe append(
            contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
}

@inline(__always)
func hexDigitLower(_ nibble: UInt8) -> UInt8 { nibble < 10 ? 48 + nibble : 87 + nibble }
