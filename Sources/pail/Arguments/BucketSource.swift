// SOURCE on the command line: which bucket, and which part of it.

/// A bucket and the BasePath inside it that becomes the mount's root.
struct BucketSource: Hashable, Sendable {
    /// The bucket's name, not yet checked against the rules of names; see `BucketName`.
    var bucket: String
    /// What every key begins with: empty, or the BasePath without a leading and with one trailing `/`.
    var rootPrefix: [UInt8]

    /// Most bytes of a key.
    /// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
    static let longestKey = 1024

    /// Reads `BUCKET`, `BUCKET:/BASE/PATH` or `s3://BUCKET/BASE/PATH`.
    ///
    /// Nothing is decoded: `%20` in a BasePath is these three bytes.
    static func parse(_ text: String) throws(Complaint) -> BucketSource {
        if text.lowercased().hasPrefix("s3://") {
            let rest = text.dropFirst(5)
            let bucket = Substring(rest.utf8.prefix { $0 != UInt8(ascii: "/") })
            return try make(bucket, Substring(rest.utf8.dropFirst(bucket.utf8.count)), text)
        }
        if text.lowercased().hasPrefix("arn:") {
            throw Complaint("access points and ARNs are not supported; write the bucket's name")
        }
        if text.contains("://") {
            throw Complaint(
                "'\(Escaping.line(text))' is not an S3 address; write BUCKET:/PATH or s3://BUCKET/PATH, and "
                    + "the server with --endpoint-url")
        }
        let bucket = Substring(text.utf8.prefix { $0 != UInt8(ascii: ":") })
        if let slash = bucket.firstIndex(of: "/") {
            let name = bucket[..<slash]
            let mend =
                name.isEmpty
                ? "write BUCKET:/PATH" : "write \(Escaping.line(name + ":" + bucket[slash...]))"
            throw Complaint("'\(Escaping.line(text))' has no ':' behind the bucket's name; \(mend)")
        }
        return try make(bucket, Substring(text.utf8.dropFirst(bucket.utf8.count + 1)), text)
    }

    private static func make(
        _ bucket: Substring, _ base: Substring, _ text: String
    ) throws(Complaint) -> BucketSource {
        guard !bucket.isEmpty else {
            throw Complaint(
                "'\(Escaping.line(text))' names no bucket; write BUCKET:/PATH or s3://BUCKET/PATH")
        }
        return BucketSource(bucket: String(bucket), rootPrefix: try normalise(base))
    }

    /// `/`, ``, `/assets`, `assets/` and `/assets/` in one form: empty, or `assets/`.
    ///
    /// Empty, `.` and `..` components are refused: S3 takes them literally, people mean something
    /// else. Keys that have them are reached from a mount above, under their escape.
    private static func normalise(_ base: Substring) throws(Complaint) -> [UInt8] {
        var bytes = Array(base.utf8)[...]
        if bytes.first == UInt8(ascii: "/") { bytes.removeFirst() }
        if bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
        guard !bytes.isEmpty else {
            if base.utf8.count > 1 { throw emptyComponent(base) }
            return []
        }
        for component in bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        {
            if component.isEmpty { throw emptyComponent(base) }
            if component.elementsEqual(".".utf8) || component.elementsEqual("..".utf8) {
                throw Complaint(
                    "the path '\(Escaping.line(base))' has a '.' or '..' in it, which S3 takes literally; write "
                        + "the path without it")
            }
        }
        guard bytes.count < longestKey else {
            throw Complaint("the path is longer than a key can be (\(longestKey) bytes)")
        }
        return Array(bytes) + [UInt8(ascii: "/")]
    }

    private static func emptyComponent(_ base: Substring) -> Complaint {
        Complaint(
            "the path '\(Escaping.line(base))' has two '/' in a row, which S3 takes literally; write one, or mount "
                + "above it and use the escape (see KEY ESCAPES in pail(1))")
    }
}

extension BucketSource: CustomStringConvertible {
    /// `BUCKET` or `BUCKET:/BASE/PATH`, for messages and the table of mounts.
    var description: String {
        let base = String(decoding: rootPrefix.dropLast(), as: UTF8.self)
        return base.isEmpty ? bucket : Escaping.line("\(bucket):/\(base)")
    }
}

/// Names that buckets can have.
/// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
enum BucketName {
    /// Says what is wrong with a name.
    ///
    /// - Parameter strict: true where Amazon's rules hold; other servers, and old buckets in
    ///   path style, may have upper case letters, `_` and up to 255 characters.
    static func check(_ name: String, strict: Bool) throws(Complaint) {
        let bytes = Array(name.utf8)
        let shown = "bucket name '\(Escaping.line(name))'"
        func isAlphanumeric(_ byte: UInt8) -> Bool {
            (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte)
                || (0x41...0x5A).contains(byte)
        }
        let others = Set("-._".utf8)
        guard bytes.allSatisfy({ isAlphanumeric($0) || others.contains($0) }) else {
            throw Complaint("\(shown) has a character other than letters, digits, '-', '.' and '_'")
        }
        guard (3...(strict ? 63 : 255)).contains(bytes.count) else {
            throw Complaint("\(shown) must have 3 to \(strict ? 63 : 255) characters")
        }
        guard isAlphanumeric(bytes[0]), isAlphanumeric(bytes[bytes.count - 1]) else {
            throw Complaint("\(shown) must begin and end with a letter or digit")
        }
        if name.contains("..") { throw Complaint("\(shown) has two dots in a row") }
        guard strict else { return }
        if bytes.contains(where: { (0x41...0x5A).contains($0) }) {
            throw Complaint(
                "\(shown) has upper case letters; did you mean '\(name.lowercased())'? (for an old "
                    + "bucket with such a name use --path-style)")
        }
        if bytes.contains(UInt8(ascii: "_")) {
            throw Complaint(
                "\(shown) has a '_' in it (for an old bucket with such a name use --path-style)")
        }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        if parts.count == 4, parts.allSatisfy({ UInt8($0) != nil }) {
            throw Complaint("\(shown) is an IP address; write the server with --endpoint-url")
        }
    }
}
