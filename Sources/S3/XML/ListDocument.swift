// The answer of ListObjectsV2, as it arrives.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html

/// Builds a `ListPage`. An `Error` document with status 200 is kept as `failure`.
final class ListDocument: AnswerDocument {
    private(set) var page = ListPage(objects: [], commonPrefixes: [], nextToken: nil)
    private(set) var isTruncated = false
    /// True once the root was seen to be ListBucketResult.
    private(set) var isExpected = false
    /// Why the page makes no sense; one line.
    private(set) var problem: String?
    let failure = ErrorDocument()
    private var isURLEncoded = false
    private var isError = false
    private var key: [UInt8]?
    private var size: Int64?
    private var etag = ""
    private var modified: Int64?
    private var storageClass = StorageClass.standard

    func begin(_ name: XMLName, depth: Int) {
        if depth == 1 {
            isExpected = name == "ListBucketResult"
            isError = name == "Error"
        }
        if isError { return failure.begin(name, depth: depth) }
        guard depth == 2, name == "Contents" else { return }
        key = nil
        size = nil
        etag = ""
        modified = nil
        storageClass = .standard
    }

    func end(_ name: XMLName, depth: Int, text: [UInt8]) {
        if isError { return failure.end(name, depth: depth, text: text) }
        switch depth {
        case 2: endField(name, text)
        // Owner and RestoreStatus, one deeper, are not asked for.
        case 3: endItem(name, text)
        default: break
        }
    }

    private func endField(_ name: XMLName, _ text: [UInt8]) {
        if name == "Contents" {
            guard let key, let size, size >= 0, let modified else {
                return complain("an object without key, size or date")
            }
            page.objects.append(
                ObjectSummary(
                    key: ObjectKey(key), size: size, etag: ETag(etag), modified: modified,
                    storageClass: storageClass))
        } else if name == "EncodingType" {
            isURLEncoded = text.elementsEqual("url".utf8)
        } else if name == "IsTruncated" {
            isTruncated = text.elementsEqual("true".utf8)
        } else if name == "NextContinuationToken" {
            page.nextToken = String(decoding: text, as: UTF8.self)
        }
    }

    private func endItem(_ name: XMLName, _ text: [UInt8]) {
        if name == "Key" {
            key = text
        } else if name == "Size" {
            size = Headers.number(text)
        } else if name == "ETag" {
            etag = Headers.unquoted(text)
        } else if name == "LastModified" {
            modified = Dates.iso8601(text)
        } else if name == "StorageClass" {
            if !text.isEmpty, !text.elementsEqual("STANDARD".utf8) {
                storageClass = StorageClass(rawValue: String(decoding: text, as: UTF8.self))
            }
        } else if name == "Prefix" {
            page.commonPrefixes.append(text)
        }
    }

    private func complain(_ what: String) {
        if problem == nil { problem = what }
    }

    /// The page, once, when the document is complete. Keys are decoded only now: EncodingType may stand
    /// behind them.
    func finished() throws(XMLProblem) -> ListPage {
        if let problem { throw XMLProblem(message: "the listing has " + problem) }
        // Taken, not copied: decoding changes every key in place.
        var page = page
        self.page = ListPage(objects: [], commonPrefixes: [], nextToken: nil)
        if isURLEncoded {
            for index in page.objects.indices {
                guard
                    let bytes = Self.decoded(page.objects[index].key.bytes)
                else { throw XMLProblem(message: "the listing has a key with a broken escape") }
                if let bytes { page.objects[index].key.bytes = bytes }
            }
            for index in page.commonPrefixes.indices {
                guard let bytes = Self.decoded(page.commonPrefixes[index])
                else { throw XMLProblem(message: "the listing has a prefix with a broken escape") }
                if let bytes { page.commonPrefixes[index] = bytes }
            }
        }
        if isTruncated, page.nextToken?.isEmpty ?? true {
            throw XMLProblem(message: "the listing is truncated but has no token for the next page")
        }
        if !isTruncated { page.nextToken = nil }
        return page
    }

    /// Nil for a broken escape, `.some(nil)` when nothing was encoded.
    private static func decoded(_ text: [UInt8]) -> [UInt8]?? {
        guard text.contains(where: { $0 == 0x25 || $0 == 0x2B }) else { return .some(nil) }
        return PercentEncoding.decode(text, plusIsSpace: true).map { .some($0) }
    }
}
