// Takes secrets out of lines that people get to see.

enum Redaction {
    /// Headers whose values are never shown, in lower case.
    private static let secretHeaders: Set<String> = [
        "authorization", "proxy-authorization", "cookie", "set-cookie",
        "x-amz-security-token", "x-aws-ec2-metadata-token",
        "x-amz-server-side-encryption-customer-key",
        "x-amz-copy-source-server-side-encryption-customer-key",
    ]
    /// Query parameters whose values are never shown, in lower case.
    private static let secretParameters: Set<String> = [
        "x-amz-signature", "x-amz-credential", "x-amz-security-token", "signature",
        "awsaccesskeyid", "webidentitytoken", "samlassertion", "sessiontoken", "token",
    ]
    static let mark = "[removed]"

    /// One line of headers or of libcurl's talk, without secret values.
    static func line(_ text: String) -> String {
        if let colon = text.firstIndex(of: ":") {
            let name = text[..<colon].lowercased()
            if secretHeaders.contains(name) { return text[...colon] + " " + mark }
        }
        guard text.contains("=") else { return text }
        return parameters(text)
    }

    /// Replaces the query of every URL in a message by nothing.
    static func withoutQueries(_ text: String) -> String {
        guard text.contains("?") else { return text }
        var result = ""
        var isQuery = false
        for character in text {
            if character == "?" { isQuery = true }
            if character == " " || character == "\n" || character == "'" { isQuery = false }
            if !isQuery { result.append(character) }
        }
        return result
    }

    /// Removes the values of secret `name=value` pairs, wherever they stand.
    private static func parameters(_ text: String) -> String {
        var result = ""
        var name = ""
        var isValue = false
        for character in text {
            switch character {
            case "?", "&", " ", ",", "'", "\"", ";":
                isValue = false
                name = ""
                result.append(character)
            case "=" where !isValue:
                result.append(character)
                isValue = secretParameters.contains(name.lowercased())
                if isValue { result += mark }
            default:
                if isValue { continue }
                name.append(character)
                result.append(character)
            }
        }
        return result
    }
}
