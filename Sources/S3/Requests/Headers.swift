// Response headers as S3 means them: object attributes, Content-Range.

internal import Transport

enum Headers {
    /// An ETag without quotes; a weak one without its mark.
    static func unquoted(_ text: String) -> String { unquoted(Array(text.utf8)) }

    /// As above, from the bytes of a document.
    static func unquoted(_ text: [UInt8]) -> String {
        var rest = text[...]
        if rest.starts(with: "W/".utf8) { rest = rest.dropFirst(2) }
        if rest.count >= 2, rest.first == 0x22, rest.last == 0x22 {
            rest = rest.dropFirst().dropLast()
        }
        return String(decoding: rest, as: UTF8.self)
    }

    /// A value as signatures see it, and so as it is sent: without spaces around it, and one where
    /// there were several.
    static func collapsed(_ value: String) -> String {
        var last: UInt8 = 0x20
        var hasMore = false
        for byte in value.utf8 {
            if byte == 0x20 && last == 0x20 { hasMore = true }
            last = byte
        }
        guard hasMore || last == 0x20 else { return value }
        return value.split(separator: " ").joined(separator: " ")
    }

    /// `bytes 0-99/1234`: the last is exclusive here. Nil when it is not of that form.
    static func contentRange(_ text: String) -> (range: Range<Int64>, total: Int64)? {
        let bytes = Array(text.utf8)
        guard bytes.starts(with: "bytes ".utf8) else { return nil }
        let parts = bytes.dropFirst(6).split(
            separator: 0x2F, omittingEmptySubsequences: false)
        guard parts.count == 2, let total = number(parts[1]) else { return nil }
        let ends = parts[0].split(separator: 0x2D, omittingEmptySubsequences: false)
        guard ends.count == 2, let first = number(ends[0]), let last = number(ends[1]),
            first <= last, last < total
        else { return nil }
        return (first..<(last + 1), total)
    }

    /// Digits only.
    static func number(_ digits: some Collection<UInt8>) -> Int64? {
        guard !digits.isEmpty, digits.count <= 18 else { return nil }
        var value: Int64 = 0
        for digit in digits {
            guard (0x30...0x39).contains(digit) else { return nil }
            value = value * 10 + Int64(digit - 0x30)
        }
        return value
    }
}

/// The headers of one answer, looked through once.
struct AnswerHeaders {
    var contentLength: Int64?
    var contentRange: (range: Range<Int64>, total: Int64)?
    var hasContentRange = false
    var etag: String?
    var modified: Int64?
    var storageClass = StorageClass.standard
    var contentType: String?
    var versionID: String?
    var isRestored = false
    var isDeleteMarker = false
    var cacheControl: String?
    var contentEncoding: String?
    var contentDisposition: String?
    var contentLanguage: String?
    var expires: String?
    var metadata: [String: String] = [:]

    init(_ head: HTTPResponseHead) {
        for (name, value) in head.headers {
            // Most names differ in length already; lower-casing is what costs here.
            switch name.utf8.count {
            case 4 where Self.matches(name, "etag"): etag = Headers.unquoted(value)
            case 7 where Self.matches(name, "expires"): expires = value
            case 12 where Self.matches(name, "content-type"): contentType = value
            case 13 where Self.matches(name, "last-modified"):
                modified = Dates.http(value).map { $0 * 1_000_000_000 }
            case 13 where Self.matches(name, "cache-control"): cacheControl = value
            case 13 where Self.matches(name, "content-range"):
                hasContentRange = true
                contentRange = Headers.contentRange(value)
            case 13 where Self.matches(name, "x-amz-restore"):
                isRestored = value.contains("ongoing-request=\"false\"")
            case 14 where Self.matches(name, "content-length"):
                contentLength = Headers.number(value.utf8)
            case 16 where Self.matches(name, "content-encoding"):
                // What was decoded on the way is not the object's own.
                if value.lowercased() != "aws-chunked" { contentEncoding = value }
            case 16 where Self.matches(name, "content-language"): contentLanguage = value
            case 19 where Self.matches(name, "content-disposition"): contentDisposition = value
            case 16 where Self.matches(name, "x-amz-version-id"):
                if value != "null" { versionID = value }
            case 19 where Self.matches(name, "x-amz-storage-class"):
                storageClass = StorageClass(rawValue: value)
            case 19 where Self.matches(name, "x-amz-delete-marker"):
                isDeleteMarker = value == "true"
            default: addMetadata(name, value)
            }
        }
    }

    private mutating func addMetadata(_ name: String, _ value: String) {
        guard name.utf8.count > 11 else { return }
        guard Self.matches(name.prefix(11), "x-amz-meta-") else { return }
        metadata[name.dropFirst(11).lowercased()] = value
    }

    private static func matches(_ name: some StringProtocol, _ lower: StaticString) -> Bool {
        var place = 0
        let count = lower.utf8CodeUnitCount
        let expected = unsafe UnsafeBufferPointer(start: lower.utf8Start, count: count)
        for byte in name.utf8 {
            let folded = (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
            guard place < count, unsafe expected[place] == folded else { return false }
            place += 1
        }
        return place == count
    }

    /// What they tell of the object, or nil when something needed is missing.
    ///
    /// - Parameter size: of the whole object.
    func object(_ key: ObjectKey, size: Int64) -> ObjectHead? {
        guard let etag, let modified else { return nil }
        var object = ObjectHead(
            key: key, size: size, etag: ETag(etag), modified: modified,
            storageClass: storageClass, contentType: contentType, versionID: versionID,
            isRestored: isRestored, metadata: metadata)
        object.cacheControl = cacheControl
        object.contentEncoding = contentEncoding
        object.contentDisposition = contentDisposition
        object.contentLanguage = contentLanguage
        object.expires = expires
        return object
    }
}
