// Header lines, as libcurl delivers them one by one, into the head of the final response.
//
// Heads of 1xx responses are dropped, and so are trailers behind a chunked body (RFC 9112, 7.1.2).
// Never trusts the server: the total size is bounded.

struct HeadParser {
    enum Event {
        case more
        /// The final head is complete; delivered once.
        case head(HTTPResponseHead)
        case tooLarge
        case malformed
    }

    /// Bytes of headers in one response, interim responses included.
    static let limit = 64 << 10

    private(set) var isComplete = false
    private var size = 0
    private var head: HTTPResponseHead?

    mutating func consume(_ raw: UnsafeRawBufferPointer) -> Event {
        size += raw.count
        if size > Self.limit { return .tooLarge }
        if isComplete { return .more }
        let line = unsafe Self.trim(raw[...])
        guard head != nil else {
            guard let status = unsafe Self.status(line) else { return .malformed }
            head = HTTPResponseHead(status: status, headers: [])
            return .more
        }
        if unsafe line.isEmpty { return endHead() }
        if let first = unsafe raw.first, Self.isSpace(first) {
            unsafe continueValue(line)
            return .more
        }
        guard let colon = unsafe line.firstIndex(of: UInt8(ascii: ":")) else { return .more }
        let name = unsafe String(decoding: Self.trim(line[..<colon]), as: UTF8.self)
        let value = unsafe String(decoding: Self.trim(line[(colon + 1)...]), as: UTF8.self)
        head?.headers.append((name, value))
        return .more
    }

    private mutating func endHead() -> Event {
        guard let head = head.take() else { return .malformed }
        if (100..<200).contains(head.status) { return .more }
        isComplete = true
        return .head(head)
    }

    /// A folded line (obs-fold) belongs to the value before it.
    private mutating func continueValue(_ line: Slice<UnsafeRawBufferPointer>) {
        guard let last = head?.headers.indices.last else { return }
        head?.headers[last].value += " " + (unsafe String(decoding: line, as: UTF8.self))
    }

    /// The three digits behind "HTTP/1.1 ".
    private static func status(_ line: Slice<UnsafeRawBufferPointer>) -> Int? {
        guard unsafe line.starts(with: "HTTP/".utf8),
            let space = unsafe line.firstIndex(of: UInt8(ascii: " "))
        else { return nil }
        let digits = unsafe trim(line[space...]).prefix(3)
        guard unsafe digits.count == 3 else { return nil }
        var status = 0
        for byte in unsafe Array(digits) {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            status = status * 10 + Int(byte - UInt8(ascii: "0"))
        }
        return status >= 100 ? status : nil
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
    }

    private static func trim(
        _ text: Slice<UnsafeRawBufferPointer>
    ) -> Slice<UnsafeRawBufferPointer> {
        var text = unsafe text
        while let first = unsafe text.first, isSpace(first) { unsafe text.removeFirst() }
        while let last = unsafe text.last,
            isSpace(last) || last == UInt8(ascii: "\r") || last == UInt8(ascii: "\n")
        {
            unsafe text.removeLast()
        }
        return unsafe text
    }
}
