// Sizes as people write them on command lines.

/// Reads `512MiB`, `1GiB`, `10G`, `1GB`, `1048576`.
///
/// Units follow coreutils: `K M G T P` and `KiB MiB GiB TiB PiB` are powers of 1024, `KB MB GB TB PB`
/// are powers of 1000, no unit is bytes. Upper and lower case are alike.
enum ByteSize {
    /// The bytes meant by `text`, at most `Int64.max`.
    static func parse(_ text: String) throws(Complaint) -> Int64 {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text.dropFirst(digits.count)
        if unit.hasPrefix(".") || unit.hasPrefix(",") {
            throw Complaint("write a whole number with a smaller unit, such as 1536MiB")
        }
        guard !digits.isEmpty, let factor = factor(String(unit)) else {
            throw Complaint("write a size such as 512MiB, 1GiB or 10G")
        }
        guard let count = Int64(digits),
            case (let bytes, false) = count.multipliedReportingOverflow(by: factor)
        else { throw Complaint("the size is too large") }
        return bytes
    }

    /// Bytes in one unit; nil when there is no such unit.
    private static func factor(_ unit: String) -> Int64? {
        let unit = unit.lowercased()
        if unit.isEmpty || unit == "b" { return 1 }
        guard let exponent = ["k", "m", "g", "t", "p"].firstIndex(of: String(unit.prefix(1))) else {
            return nil
        }
        let base: Int64
        switch unit.dropFirst() {
        case "", "ib": base = 1024
        case "b": base = 1000
        default: return nil
        }
        return (0...exponent).reduce(1) { factor, _ in factor * base }
    }

    /// The size for messages, in the largest unit that leaves no fraction: `64MiB`, `1500`.
    static func format(_ bytes: Int64) -> String {
        var count = bytes
        var unit = 0
        let units = ["", "KiB", "MiB", "GiB", "TiB", "PiB"]
        while count != 0, count.isMultiple(of: 1024), unit < units.count - 1 {
            count /= 1024
            unit += 1
        }
        return "\(count)\(units[unit])"
    }

    /// The size for people, rounded to one digit: `1.4GiB`, `512B`.
    static func approximate(_ bytes: Int64) -> String {
        let units = ["KiB", "MiB", "GiB", "TiB", "PiB"]
        guard bytes >= 1024 else { return "\(bytes)B" }
        var divisor: Int64 = 1024
        var unit = 0
        while unit < units.count - 1, bytes / divisor >= 1024 {
            divisor *= 1024
            unit += 1
        }
        let tenths = bytes / (divisor / 128) * 10 / 128
        return "\(tenths / 10).\(tenths % 10)\(units[unit])"
    }
}

/// What the operator wants to stay free on the cache's disk.
enum FreeSpace: Hashable, Sendable {
    case bytes(Int64)
    /// Of the whole disk, 0...100.
    case percent(Int)

    /// Reads `5%` or a size.
    static func parse(_ text: String) throws(Complaint) -> FreeSpace {
        guard text.hasSuffix("%") else { return .bytes(try ByteSize.parse(text)) }
        guard let percent = Int(text.dropLast()), (0...100).contains(percent) else {
            throw Complaint("write a percentage between 0% and 100%")
        }
        return .percent(percent)
    }

    /// The bytes meant, on a disk of `total` bytes.
    func bytes(ofDisk total: Int64) -> Int64 {
        switch self {
        case .bytes(let bytes): bytes
        case .percent(let percent): total / 100 * Int64(percent)
        }
    }
}
