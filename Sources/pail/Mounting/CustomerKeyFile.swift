// The file of --sse-c-key-file. The key goes nowhere but into CustomerKey, which does not show it.

import Glibc
import S3

/// Reads a customer's key.
enum CustomerKeyFile {
    private static let mostBytes = 128

    /// The key in a file that only its owner can read: 32 bytes, or those in base64 on one line.
    static func read(_ path: String) throws(CommandFailure) -> CustomerKey {
        let shown = Escaping.line(path)
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
        guard descriptor >= 0 else { throw unreadable(shown, errno) }
        defer { close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw unreadable(shown, errno) }
        if status.st_mode & S_IFMT == S_IFREG, status.st_mode & 0o077 != 0 {
            throw CommandFailure(
                "\(shown) holds a key and others may read it: run chmod 600 \(shown)",
                .configuration)
        }
        var bytes = [UInt8](repeating: 0, count: mostBytes)
        var count = 0
        while count < bytes.count {
            let got = unsafe bytes.withUnsafeMutableBytes { memory in
                unsafe Glibc.read(descriptor, memory.baseAddress! + count, memory.count - count)
            }
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw unreadable(shown, errno) }
            if got == 0 { break }
            count += got
        }
        guard let key = key(Array(bytes.prefix(count))) else {
            throw CommandFailure(
                "\(shown) (--sse-c-key-file) holds neither 32 bytes nor 32 bytes in base64; make "
                    + "one: openssl rand -out FILE 32", .configuration)
        }
        return key
    }

    /// The key meant by a file's bytes.
    static func key(_ bytes: [UInt8]) -> CustomerKey? {
        if let key = CustomerKey(bytes) { return key }
        var text = bytes[...]
        while let last = text.last, [0x0A, 0x0D, 0x20].contains(last) { text.removeLast() }
        return decode(text).flatMap { CustomerKey($0) }
    }

    /// 44 characters of base64 as the 32 bytes they stand for; nil for anything else.
    private static func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        guard text.count == 44, text.last == UInt8(ascii: "=") else { return nil }
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var held = 0
        for letter in text.dropLast() {
            let value: UInt8
            switch letter {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = letter - UInt8(ascii: "A")
            case UInt8(ascii: "a")...UInt8(ascii: "z"): value = letter - UInt8(ascii: "a") + 26
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = letter - UInt8(ascii: "0") + 52
            case UInt8(ascii: "+"): value = 62
            case UInt8(ascii: "/"): value = 63
            default: return nil
            }
            bits = bits << 6 & 0xFFFF | UInt32(value)
            held += 6
            if held >= 8 {
                held -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(held)))
            }
        }
        return bytes.count == 32 ? bytes : nil
    }

    private static func unreadable(_ shown: String, _ number: Int32) -> CommandFailure {
        CommandFailure(
            "cannot read the key in \(shown) (--sse-c-key-file): \(Text.of(errno: number))",
            .noInput)
    }
}
