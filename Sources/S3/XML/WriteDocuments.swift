// The answers of CopyObject, of the multipart operations and of DeleteObjects. Servers differ in how
// they call the root (…Result, …Response), so the fields decide what an answer is.

/// A document whose fields are the elements below its root.
final class FieldsDocument: AnswerDocument {
    private var fields: [String: String] = [:]
    private(set) var isExpected = false
    let failure = ErrorDocument()

    func begin(_ name: XMLName, depth: Int) {
        failure.begin(name, depth: depth)
        if depth == 1 { isExpected = true }
    }

    func end(_ name: XMLName, depth: Int, text: [UInt8]) {
        failure.end(name, depth: depth, text: text)
        if depth == 2 { fields[name.text] = String(decoding: text, as: UTF8.self) }
    }

    /// A field's text; nil when it is missing or empty.
    subscript(_ name: String) -> String? { fields[name].flatMap { $0.isEmpty ? nil : $0 } }

    var etag: ETag? { self["ETag"].map { ETag(Headers.unquoted($0)) } }
    var modified: Int64? { self["LastModified"].flatMap { Dates.iso8601(Array($0.utf8)) } }
    /// As `UploadedPart.checksum` has it.
    var checksum: String? { self["ChecksumCRC32C"].map { "crc32c:" + $0 } }
}

/// The answer of ListParts.
/// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html
final class PartsDocument: AnswerDocument {
    private(set) var parts: [UploadedPart] = []
    private(set) var isTruncated = false
    private(set) var nextMarker: String?
    private(set) var isExpected = false
    let failure = ErrorDocument()
    private var number: Int?
    private var etag: String?
    private var size: Int64 = 0
    private var checksum: String?

    func begin(_ name: XMLName, depth: Int) {
        failure.begin(name, depth: depth)
        if depth == 1 { isExpected = true }
        guard depth == 2, name == "Part" else { return }
        number = nil
        etag = nil
        size = 0
        checksum = nil
    }

    func end(_ name: XMLName, depth: Int, text: [UInt8]) {
        failure.end(name, depth: depth, text: text)
        let value = String(decoding: text, as: UTF8.self)
        if depth == 3 {
            if name == "PartNumber" {
                number = Int(value)
            } else if name == "ETag" {
                etag = Headers.unquoted(value)
            } else if name == "Size" {
                size = Int64(value) ?? 0
            } else if name == "ChecksumCRC32C" {
                checksum = value.isEmpty ? nil : "crc32c:" + value
            }
        } else if depth == 2 {
            if name == "Part" {
                guard let number, let etag else { return }
                parts.append(
                    UploadedPart(number: number, etag: ETag(etag), size: size, checksum: checksum))
            } else if name == "IsTruncated" {
                isTruncated = value == "true"
            } else if name == "NextPartNumberMarker" {
                nextMarker = value
            }
        }
    }
}

/// The answer of DeleteObjects.
/// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
final class DeletedDocument: AnswerDocument {
    private(set) var deleted: Set<ObjectKey> = []
    private(set) var errors: [ObjectKey: (code: String, message: String)] = [:]
    private(set) var isExpected = false
    let failure = ErrorDocument()
    private var key: ObjectKey?
    private var code = ""
    private var message = ""

    func begin(_ name: XMLName, depth: Int) {
        failure.begin(name, depth: depth)
        if depth == 1 { isExpected = true }
        guard depth == 2 else { return }
        key = nil
        code = ""
        message = ""
    }

    func end(_ name: XMLName, depth: Int, text: [UInt8]) {
        failure.end(name, depth: depth, text: text)
        if depth == 3 {
            if name == "Key" {
                key = ObjectKey(text)
            } else if name == "Code" {
                code = String(decoding: text, as: UTF8.self)
            } else if name == "Message" {
                message = String(decoding: text, as: UTF8.self)
            }
        } else if depth == 2, let key {
            if name == "Deleted" { deleted.insert(key) }
            if name == "Error" { errors[key] = (code, message) }
        }
    }
}
