// Values chosen by a pattern over names: `--cache-control '*.html=no-cache'` and its like. The last
// rule that matches wins, so that a general rule comes first and its exceptions after it. Immutable.

/// A rule that cannot be read; `reason` is half a sentence for the one who wrote it.
public struct NameRuleError: Error, Equatable {
    /// What is wrong.
    public let reason: String
}

/// Rules `PATTERN=VALUE`, in the order they were given.
public struct NameRules: Sendable {
    private var rules: [(pattern: [UInt8], value: String)] = []

    /// Reads the rules; the pattern ends at the first `=`. The value goes into a header, so only
    /// printable ASCII is taken.
    public init(_ texts: [String]) throws(NameRuleError) {
        for text in texts {
            let bytes = Array(text.utf8)
            guard let equals = bytes.firstIndex(of: 0x3D), equals > 0 else {
                throw NameRuleError(reason: "is not PATTERN=VALUE")
            }
            let value = bytes[(equals + 1)...]
            guard let first = value.first, let last = value.last, first != 0x20, last != 0x20,
                value.allSatisfy({ (0x20...0x7E).contains($0) })
            else {
                throw NameRuleError(reason: "needs a value of printable ASCII after the =")
            }
            rules.append((Array(bytes[..<equals]), String(decoding: value, as: UTF8.self)))
        }
    }

    /// The value for `path`, relative to the mount. A pattern without a slash is held against the last
    /// component, one with a slash against the whole path.
    public func value(for path: [UInt8]) -> String? {
        let name = path[((path.lastIndex(of: 0x2F) ?? -1) + 1)...]
        return rules.last {
            Self.matches($0.pattern, $0.pattern.contains(0x2F) ? path[...] : name)
        }?.value
    }

    /// `*` stands for any bytes, slashes too, `?` for one byte; all else for itself. Takes at most
    /// pattern times name steps, whatever the pattern.
    static func matches(_ pattern: [UInt8], _ name: ArraySlice<UInt8>) -> Bool {
        var p = 0
        var n = name.startIndex
        var star: (p: Int, n: Int)?
        while n < name.endIndex {
            if p < pattern.count, pattern[p] == 0x2A {
                p += 1
                star = (p, n)
            } else if p < pattern.count, pattern[p] == 0x3F || pattern[p] == name[n] {
                p += 1
                n += 1
            } else if let last = star {
                p = last.p
                n = last.n + 1
                star = (p, n)
            } else {
                return false
            }
        }
        return pattern[p...].allSatisfy { $0 == 0x2A }
    }
}
