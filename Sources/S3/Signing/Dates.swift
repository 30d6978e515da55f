// The three date forms of S3, without Foundation: x-amz-date, HTTP dates, ISO 8601 of listings.
// Proleptic Gregorian calendar, UTC only.

/// Dates as S3 writes them.
enum Dates {
    /// `20130524T000000Z`.
    ///
    /// - Parameter seconds: since 1970-01-01T00:00:00Z.
    static func amz(_ seconds: Int64) -> String {
        var text = [UInt8](repeating: 0x30, count: 16)
        let (year, month, day) = civil(days: floorDivide(seconds, 86400))
        let rest = Int(seconds - floorDivide(seconds, 86400) * 86400)
        put(year, 4, at: 0, in: &text)
        put(month, 2, at: 4, in: &text)
        put(day, 2, at: 6, in: &text)
        text[8] = UInt8(ascii: "T")
        put(rest / 3600, 2, at: 9, in: &text)
        put(rest / 60 % 60, 2, at: 11, in: &text)
        put(rest % 60, 2, at: 13, in: &text)
        text[15] = UInt8(ascii: "Z")
        return String(decoding: text, as: UTF8.self)
    }

    /// `Wed, 12 Oct 2009 17:50:00 GMT` (RFC 9110, IMF-fixdate) as seconds since 1970, or nil.
    static func http(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        guard let comma = bytes.firstIndex(of: 0x2C) else { return nil }
        let parts = bytes[(comma + 1)...].split(whereSeparator: { $0 == 0x20 || $0 == 0x3A })
        guard parts.count == 7 else { return nil }
        let months = [
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ]
        let name = String(decoding: parts[1], as: UTF8.self).lowercased()
        guard let month = months.firstIndex(of: name), let day = number(parts[0]),
            let year = number(parts[2]), let hour = number(parts[3]), let minute = number(parts[4]),
            let second = number(parts[5])
        else { return nil }
        return seconds(year, month + 1, day, hour, minute, second)
    }

    /// `2009-10-12T17:50:30.000Z` as nanoseconds since 1970, or nil. The fraction may be absent.
    static func iso8601(_ bytes: some Collection<UInt8>) -> Int64? {
        let text = Array(bytes)
        guard text.count >= 20, text[4] == 0x2D, text[7] == 0x2D, text[10] == 0x54,
            text[13] == 0x3A, text[16] == 0x3A, text[text.count - 1] == 0x5A,
            let year = number(text[0..<4]), let month = number(text[5..<7]),
            let day = number(text[8..<10]), let hour = number(text[11..<13]),
            let minute = number(text[14..<16]), let second = number(text[17..<19]),
            let whole = seconds(year, month, day, hour, minute, second)
        else { return nil }
        var nanoseconds: Int64 = 0
        if text.count > 20 {
            guard text[19] == 0x2E, text.count > 21 else { return nil }
            var unit: Int64 = 100_000_000
            for digit in text[20..<(text.count - 1)] {
                guard (0x30...0x39).contains(digit) else { return nil }
                nanoseconds += Int64(digit - 0x30) * unit
                unit /= 10
            }
        }
        return whole * 1_000_000_000 + nanoseconds
    }

    private static func seconds(
        _ year: Int, _ month: Int, _ day: Int, _ hour: Int, _ minute: Int, _ second: Int
    ) -> Int64? {
        // The upper year keeps nanoseconds inside 64 bits.
        guard (1678...2261).contains(year), (1...12).contains(month), (1...31).contains(day),
            hour < 24, minute < 60, second <= 60
        else { return nil }
        let days = days(year, month, day)
        guard civil(days: days) == (year, month, day) else { return nil }
        return days * 86400 + Int64(hour * 3600 + minute * 60 + second)
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        guard !digits.isEmpty, digits.count <= 4 else { return nil }
        var value = 0
        for digit in digits {
            guard (0x30...0x39).contains(digit) else { return nil }
            value = value * 10 + Int(digit - 0x30)
        }
        return value
    }

    private static func put(_ value: Int, _ width: Int, at place: Int, in text: inout [UInt8]) {
        var value = value
        for index in stride(from: place + width - 1, through: place, by: -1) {
            text[index] = 0x30 + UInt8(value % 10)
            value /= 10
        }
    }

    private static func floorDivide(_ a: Int64, _ b: Int64) -> Int64 {
        a >= 0 ? a / b : -((-a + b - 1) / b)
    }

    // Years begin in March here, so that the leap day is a year's last.
    private static func civil(days: Int64) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = floorDivide(shifted, 146_097)
        let dayOfEra = Int(shifted - era * 146_097)
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let march = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * march + 2) / 5 + 1
        let month = march < 10 ? march + 3 : march - 9
        return (yearOfEra + Int(era) * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted >= 0 ? shifted / 400 : (shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return Int64(era) * 146_097 + Int64(dayOfEra) - 719_468
    }
}
