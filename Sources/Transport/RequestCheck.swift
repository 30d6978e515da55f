// What a request must not contain before it is given to libcurl, which would send it as it is.

enum RequestCheck {
    /// Why the request cannot be sent, or nil.
    static func error(in request: HTTPRequest) -> HTTPTransportError? {
        let scheme = request.url.prefix(8).lowercased()
        guard scheme.hasPrefix("http://") || scheme.hasPrefix("https://") else {
            return HTTPTransportError(
                kind: .badURL, message: "a URL must begin with http:// or https://")
        }
        guard request.url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            return HTTPTransportError(
                kind: .badURL, message: "a URL contains a space, a control or a non-ASCII character"
            )
        }
        guard !request.method.isEmpty, request.method.utf8.allSatisfy(isTokenByte) else {
            return HTTPTransportError(kind: .other, message: "the request's method is no token")
        }
        for (name, value) in request.headers {
            guard !name.isEmpty, name.utf8.allSatisfy(isTokenByte) else {
                return HTTPTransportError(kind: .other, message: "a header's name is no token")
            }
            guard value.utf8.allSatisfy({ $0 != 0 && $0 != 10 && $0 != 13 }) else {
                return HTTPTransportError(
                    kind: .other, message: "the header \(name) contains a line break")
            }
        }
        return nil
    }

    /// True for addresses that only this machine's host answers: the metadata services of EC2 and ECS.
    static func isLinkLocal(_ url: String) -> Bool {
        url.hasPrefix("http://169.254.") || url.hasPrefix("http://[fd00:ec2::")
    }

    /// RFC 9110, 5.6.2: token.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"):
            true
        default:
            "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}
