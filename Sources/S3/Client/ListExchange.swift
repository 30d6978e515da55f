// ListObjectsV2. The body is kept until it is complete and is then read in one go, a large one off the
// transport's thread. Only the token of the next page is looked for as bytes come: whoever lists on
// can ask for that page while this one is read. Each attempt begins from nothing.
//
// Used from one thread at a time (see Exchange), hence @unchecked.

internal import Glibc
internal import Transport

/// One page of a listing.
final class ListExchange: Exchange, @unchecked Sendable {
    /// 1,000 keys of 1,024 bytes, every byte encoded, and their fields take 4 MB.
    private static let sizeLimit = 16 << 20
    /// A smaller body is read where it arrives: that takes less than to wake another thread.
    private static let smallBody = 32 << 10
    /// No server's tokens are longer.
    private static let tokenLimit = 8 << 10
    private static let tokenMark = Array("<NextContinuationToken>".utf8)

    let operation = "ListObjectsV2"
    private let request: ListRequest
    private let completion: @Sendable (Result<ListPage, StoreError>) -> Void
    /// Until it was called.
    private var onNext: (@Sendable (String) -> Void)?
    private var body: [UInt8] = []
    /// Where the token of this attempt's body begins, once its mark was seen.
    private var tokenStart: Int?
    private var context: ResponseContext?
    private var page: ListPage?

    init(
        _ request: ListRequest, onNext: (@Sendable (String) -> Void)?,
        _ completion: @escaping @Sendable (Result<ListPage, StoreError>) -> Void
    ) {
        self.request = request
        self.onNext = onNext
        self.completion = completion
    }

    var isComplete: Bool { false }

    var endsSlowly: Bool { body.count > Self.smallBody }

    func spec() -> RequestSpec {
        var query = QueryWriter()
        if let token = request.continuationToken { query.add("continuation-token", token) }
        if request.delimited { query.add("delimiter", "/") }
        query.add("encoding-type", "url")
        query.add("list-type", "2")
        query.add("max-keys", String(min(max(request.maxKeys, 1), 1000)))
        if !request.prefix.isEmpty { query.add("prefix", request.prefix) }
        if let after = request.startAfter, request.continuationToken == nil {
            query.add("start-after", after)
        }
        return RequestSpec(operation: operation, method: "GET", key: nil, query: query.bytes)
    }

    func begin(_ head: HTTPResponseHead, _ context: ResponseContext) -> AttemptFailure? {
        body.removeAll(keepingCapacity: true)
        tokenStart = nil
        self.context = context
        return head.status == 200 ? nil : context.malformed("status \(head.status)")
    }

    func take(_ bytes: UnsafeRawBufferPointer) -> Taken {
        guard body.count + bytes.count <= Self.sizeLimit else {
            return .failed(context!.malformed("more than \(Self.sizeLimit) bytes of XML"))
        }
        let seen = body.count
        unsafe body.append(contentsOf: bytes)
        if onNext != nil { lookForToken(behind: seen) }
        return .more
    }

    /// Tells of the next page once the token is there in full. No text of XML can hold the mark, and
    /// if the body turns out to be something else, the page does not have the token.
    private func lookForToken(behind seen: Int) {
        if tokenStart == nil {
            tokenStart = Self.endOfMark(in: body, from: max(0, seen - Self.tokenMark.count + 1))
        }
        guard let start = tokenStart,
            let end = body[start...].prefix(Self.tokenLimit).firstIndex(of: UInt8(ascii: "<"))
        else { return }
        let token = body[start..<end]
        // One with entities is left to the XML reader.
        guard !token.isEmpty, !token.contains(UInt8(ascii: "&")) else { return }
        let tell = onNext
        onNext = nil
        tell?(String(decoding: token, as: UTF8.self))
    }

    /// Where the first mark that begins at or behind `from` ends.
    private static func endOfMark(in body: [UInt8], from: Int) -> Int? {
        unsafe body.withUnsafeBytes { bytes in
            let base = bytes.baseAddress!
            let last = bytes.count - tokenMark.count
            var start = from
            // Its second letter is rarer than its first.
            while start <= last,
                let letter = unsafe memchr(base + start + 1, Int32(tokenMark[1]), last - start + 1)
            {
                start = unsafe UnsafeRawPointer(letter) - base - 1
                if unsafe memcmp(base + start, tokenMark, tokenMark.count) == 0 {
                    return start + tokenMark.count
                }
                start += 1
            }
            return nil
        }
    }

    func end() -> AttemptFailure? {
        guard let context else { return nil }
        let document = ListDocument()
        let reader = XMLReader(document, sizeLimit: Self.sizeLimit)
        let body = body
        self.body = []
        do throws(XMLProblem) {
            try Self.read(body, with: reader)
            if let failure = document.failure.asServerError(context) {
                return AttemptFailure(failure, operation: operation, isBucket: true)
            }
            guard document.isExpected else { return context.malformed("the answer is no listing") }
            page = try document.finished()
            return nil
        } catch {
            return context.malformed(error.message)
        }
    }

    private static func read(
        _ body: [UInt8], with reader: XMLReader
    ) throws(XMLProblem) {
        let bytes = unsafe body.span.bytes
        try unsafe bytes.withUnsafeBytes { (bytes) throws(XMLProblem) in
            try unsafe reader.parse(bytes)
        }
        try reader.finish()
    }

    func finish(_ result: Result<Void, StoreError>) {
        // Not to be kept with the call, which may live on in a timer.
        onNext = nil
        completion(result.map { page! })
    }
}
