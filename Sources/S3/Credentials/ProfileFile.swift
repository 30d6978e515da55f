// The INI dialect of ~/.aws/config and ~/.aws/credentials.
// Source: https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html

/// Sections of `key = value` lines.
struct ProfileFile {
    /// Section names without `profile ` (in config files), and their settings, keys in lower case.
    private(set) var sections: [String: [String: String]] = [:]

    /// - Parameter isConfig: in config files a section other than `default` needs `profile `.
    init(_ lines: [String], isConfig: Bool) {
        var section: String?
        for line in lines {
            let text = Self.trimmed(line[...])
            guard let first = text.first, first != "#", first != ";" else { continue }
            if first == "[" {
                section = Self.sectionName(text, isConfig: isConfig)
                if let section, sections[section] == nil { sections[section] = [:] }
                continue
            }
            // An indented line belongs to a nested setting (s3 =): not ours.
            guard let name = section, line.first != " ", line.first != "\t",
                let equals = text.firstIndex(of: "=")
            else { continue }
            let key = Self.trimmed(text[..<equals]).lowercased()
            sections[name]?[key] = Self.value(text[text.index(after: equals)...])
        }
    }

    /// `name` of `[name]`, `[profile name]`, `[profile "name"]`; nil for sections of another kind.
    private static func sectionName(_ text: Substring, isConfig: Bool) -> String? {
        guard let close = text.firstIndex(of: "]") else { return nil }
        var name = trimmed(text[text.index(after: text.startIndex)..<close])
        let words = name.split(maxSplits: 1) { $0 == " " || $0 == "\t" }
        if words.count == 2 {
            // [sso-session x], [services x]; a credentials file with [profile x] is a common slip.
            guard words[0] == "profile" else { return nil }
            name = trimmed(words[1])
        } else if isConfig, name != "default" {
            return nil
        }
        if name.count >= 2, let quote = name.first, quote == "\"" || quote == "'",
            name.last == quote
        {
            name = name.dropFirst().dropLast()
        }
        return String(name)
    }

    /// A value ends where white space and a comment mark follow.
    private static func value(_ text: Substring) -> String {
        var end = text.endIndex
        var previous: Character = " "
        for index in text.indices {
            let character = text[index]
            if character == "#" || character == ";", previous == " " || previous == "\t" {
                end = index
                break
            }
            previous = character
        }
        return String(trimmed(text[..<end]))
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var rest = text
        while let first = rest.first, first == " " || first == "\t" { rest.removeFirst() }
        while let last = rest.last, last == " " || last == "\t" { rest.removeLast() }
        return rest
    }
}
