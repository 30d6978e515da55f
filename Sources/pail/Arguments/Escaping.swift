// Text that goes to a terminal or a log.

/// Makes text safe to print: foreign bytes can neither break a line nor drive a terminal.
enum Escaping {
    /// `text` with control characters (C0, DEL, C1, line and paragraph separators, bidirectional
    /// overrides) written as `\u{1B}`.
    static func line(_ text: some StringProtocol) -> String {
        guard text.unicodeScalars.contains(where: isUnsafe) else { return String(text) }
        var result = ""
        for scalar in text.unicodeScalars {
            result += isUnsafe(scalar) ? scalar.escaped(asASCII: true) : String(scalar)
        }
        return result
    }

    private static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0x2028, 0x2029, 0x202A...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}
