// The extended attributes that can be set: those that an object keeps in its headers. Pure.

import S3

/// One settable attribute, by its name after `user.s3.`.
enum HeaderAttribute: Equatable {
    case contentType, cacheControl, contentEncoding, contentDisposition, contentLanguage
    case storageClass
    /// User metadata, by its name in lower case.
    case metadata(String)

    private static let space = "user.s3."

    /// Nil for names that are no such attribute.
    init?(_ name: String) {
        guard name.hasPrefix(Self.space) else { return nil }
        let rest = String(name.dropFirst(Self.space.count))
        switch rest {
        case "content-type": self = .contentType
        case "cache-control": self = .cacheControl
        case "content-encoding": self = .contentEncoding
        case "content-disposition": self = .contentDisposition
        case "content-language": self = .contentLanguage
        case "storage-class": self = .storageClass
        default:
            guard rest.hasPrefix("meta.") else { return nil }
            let key = String(rest.dropFirst("meta.".count)).lowercased()
            // What a header's name may hold, and not the names that hold file attributes.
            let isToken = key.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte)
                    || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
                    || byte == UInt8(ascii: ".")
            }
            guard !key.isEmpty, isToken, !AttributeHeaders.names.contains(key) else { return nil }
            self = .metadata(key)
        }
    }

    /// What a header's value may hold: no control characters, UTF-8.
    static func isValid(_ value: [UInt8]) -> Bool {
        value.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
            && String(validating: value, as: UTF8.self) != nil
    }

    func value(in headers: ObjectHeaders) -> String? {
        switch self {
        case .contentType: headers.contentType
        case .cacheControl: headers.cacheControl
        case .contentEncoding: headers.contentEncoding
        case .contentDisposition: headers.contentDisposition
        case .contentLanguage: headers.contentLanguage
        case .storageClass: headers.storageClass?.rawValue
        case .metadata(let name): headers.metadata[name]
        }
    }

    func set(_ value: String?, in headers: inout ObjectHeaders) {
        switch self {
        case .contentType: headers.contentType = value
        case .cacheControl: headers.cacheControl = value
        case .contentEncoding: headers.contentEncoding = value
        case .contentDisposition: headers.contentDisposition = value
        case .contentLanguage: headers.contentLanguage = value
        case .storageClass: headers.storageClass = value.map { StorageClass(rawValue: $0) }
        case .metadata(let name): headers.metadata[name] = value
        }
    }
}
