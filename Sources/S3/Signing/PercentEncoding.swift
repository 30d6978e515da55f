// Percent encoding as SigV4 wants it: every byte but the unreserved ones as %XX in upper case.
// Works on bytes: a key need not be UTF-8.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html (UriEncode)

enum PercentEncoding {
    /// 1 for A-Z a-z 0-9 - . _ ~, 2 for `/`, 0 for what must be encoded.
    private static let classes: [UInt8] = {
        var table = [UInt8](repeating: 0, count: 256)
        for byte in UInt8(ascii: "0")...UInt8(ascii: "9") { table[Int(byte)] = 1 }
        for byte in UInt8(ascii: "a")...UInt8(ascii: "z") { table[Int(byte)] = 1 }
        for byte in UInt8(ascii: "A")...UInt8(ascii: "Z") { table[Int(byte)] = 1 }
        for byte in "-._~".utf8 { table[Int(byte)] = 1 }
        table[0x2F] = 2
        return table
    }()

    /// Appends `bytes` to `out`, encoded.
    ///
    /// - Parameter keepsSlash: true in a path, false in a query.
    static func append(_ bytes: [UInt8], keepsSlash: Bool, to out: inout [UInt8]) {
        let least: UInt8 = keepsSlash ? 1 : 0
        let table = classes
        for byte in bytes {
            let kind = table[Int(byte)]
            if kind == 1 || (kind == 2 && least == 1) {
                out.append(byte)
            } else {
                out.append(0x25)
                out.append(hexDigitUpper(byte >> 4))
                out.append(hexDigitUpper(byte & 15))
            }
        }
    }

    /// `bytes`, encoded.
    static func encode(_ bytes: [UInt8], keepsSlash: Bool) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(bytes.count + bytes.count / 2)
        append(bytes, keepsSlash: keepsSlash, to: &out)
        return out
    }

    /// The bytes that `text` encodes, or nil when a `%` is not followed by two digits.
    ///
    /// - Parameter plusIsSpace: true for listings with `encoding-type=url`, which is the form
    ///   encoding: a literal `+` comes as `%2B`.
    static func decode(_ text: some Collection<UInt8>, plusIsSpace: Bool) -> [UInt8]? {
        var out: [UInt8] = []
        out.reserveCapacity(text.count)
        var rest = text.makeIterator()
        while let byte = rest.next() {
            if byte == 0x25 {
                guard let high = rest.next().flatMap(hexValue),
                    let low = rest.next().flatMap(hexValue)
                else { return nil }
                out.append(high << 4 | low)
            } else {
                out.append(byte == 0x2B && plusIsSpace ? 0x20 : byte)
            }
        }
        return out
    }
}

@inline(__always)
private func hexDigitUpper(_ nibble: UInt8) -> UInt8 { nibble < 10 ? 48 + nibble : 55 + nibble }

/// The value of one hexadecimal digit of either case.
func hexValue(_ digit: UInt8) -> UInt8? {
    switch digit {
    case 0x30...0x39: digit - 0x30
    case 0x41...0x46: digit - 0x37
    case 0x61...0x66: digit - 0x57
    default: nil
    }
}
