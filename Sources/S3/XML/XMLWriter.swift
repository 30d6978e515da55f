// XML that is sent: the bodies of CompleteMultipartUpload and DeleteObjects.
// Source: https://www.w3.org/TR/xml/#charsets: not every key can be written.

enum XMLWriter {
    /// Text for an element, escaped so that a parser gives exactly these bytes back. Nil when XML 1.0
    /// cannot carry them: no UTF-8, or control characters.
    static func escaped(_ bytes: [UInt8]) -> [UInt8]? {
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        var out: [UInt8] = []
        out.reserveCapacity(bytes.count + 16)
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x26: out.append("&amp;" as StaticString)
            case 0x3C: out.append("&lt;" as StaticString)
            case 0x3E: out.append("&gt;" as StaticString)
            case 0x22: out.append("&quot;" as StaticString)
            case 0x27: out.append("&apos;" as StaticString)
            // Parsers turn line ends into one form, unless they are written as numbers.
            case 0x09, 0x0A, 0x0D, 0x7F...0x9F, 0x2028, 0x2029:
                out.append("&#" as StaticString)
                out.append(String(scalar.value))
                out.append(0x3B)
            case 0..<0x20, 0xFFFE, 0xFFFF: return nil
            default: out.append(contentsOf: Array(UTF8.encode(scalar)!))
            }
        }
        return out
    }

    /// The body of CompleteMultipartUpload.
    static func completion(_ parts: [UploadedPart]) -> [UInt8] {
        var body: [UInt8] = []
        body.reserveCapacity(64 + parts.count * 120)
        body.append(
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                as StaticString)
        for part in parts {
            body.append("<Part>" as StaticString)
            if let checksum = part.checksum, checksum.hasPrefix("crc32c:") {
                let value = escaped(Array(checksum.dropFirst(7).utf8)) ?? []
                body.append("<ChecksumCRC32C>" as StaticString)
                body.append(contentsOf: value)
                body.append("</ChecksumCRC32C>" as StaticString)
            }
            body.append("<ETag>&quot;" as StaticString)
            body.append(contentsOf: escaped(Array(part.etag.text.utf8)) ?? [])
            body.append("&quot;</ETag><PartNumber>" as StaticString)
            body.append(String(part.number))
            body.append("</PartNumber></Part>" as StaticString)
        }
        body.append("</CompleteMultipartUpload>" as StaticString)
        return body
    }

    /// The body of DeleteObjects. Every deletion is told, not errors alone: a server that
    /// misunderstood a key would be taken for one that deleted it.
    ///
    /// - Parameter keys: escaped.
    static func deletion(_ keys: [[UInt8]]) -> [UInt8] {
        var body: [UInt8] = []
        body.append(
            "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" as StaticString)
        for key in keys {
            body.append("<Object><Key>" as StaticString)
            body.append(contentsOf: key)
            body.append("</Key></Object>" as StaticString)
        }
        body.append("</Delete>" as StaticString)
        return body
    }
}
