// Durations as people write them on command lines.

/// Reads `30s`, `5m`, `1h`, `1500ms`, `2d`, `0` and, where allowed, `forever`.
enum TimeSpan {
    /// Stands for `forever`: a hundred years, which every clock and the kernel can still add up.
    static let forever = Duration.seconds(100 * 365 * 24 * 60 * 60)

    /// The duration meant by `text`; a plain number is refused unless it is 0, as tools differ on what
    /// it would mean.
    static func parse(_ text: String) throws(Complaint) -> Duration {
        let lower = text.lowercased()
        if lower == "forever" { return forever }
        if lower == "0" { return .zero }
        let digits = lower.prefix { $0.isASCII && $0.isNumber }
        guard !digits.isEmpty else {
            throw Complaint("write a duration such as 1500ms, 30s, 5m, 1h, 0 or forever")
        }
        guard let count = Int64(digits), count <= 1_000_000_000 else {
            throw Complaint("the duration is too long; write forever")
        }
        let duration: Duration
        switch lower.dropFirst(digits.count) {
        case "ms": duration = .milliseconds(count)
        case "s": duration = .seconds(count)
        case "m", "min": duration = .seconds(count * 60)
        case "h": duration = .seconds(count * 3600)
        case "d": duration = .seconds(count * 86_400)
        case "": throw Complaint("the unit is missing; write \(digits)s for seconds")
        default: throw Complaint("write a duration such as 1500ms, 30s, 5m, 1h, 0 or forever")
        }
        return min(duration, forever)
    }
}
