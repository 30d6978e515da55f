// The options of writing, put together: names the server would refuse are refused here, where there
// is somebody to read why.

import ContentTypes

extension MountConfiguration {
    /// How the server encrypts what is written.
    enum Encryption: Hashable, Sendable {
        /// As the bucket is set up.
        case none
        case s3
        case kms(keyID: String?)
        /// With the key in the file; absolute.
        case customer(keyFile: String)
    }

    /// A tag of every object that is written.
    struct Tag: Hashable, Sendable {
        var name: String
        var value: String
    }

    /// The storage classes that can be written to.
    /// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
    private static let storageClasses = [
        "STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING",
        "GLACIER", "DEEP_ARCHIVE", "OUTPOSTS", "GLACIER_IR", "SNOW", "EXPRESS_ONEZONE",
    ]
    /// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#canned-acl
    private static let cannedACLs = [
        "private", "public-read", "public-read-write", "authenticated-read", "aws-exec-read",
        "bucket-owner-read", "bucket-owner-full-control",
    ]
    private static let partSizes: ClosedRange<Int64> = 5 << 20...5 << 30
    /// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
    private static let mostTags = 10

    /// Takes the options of writing; after all others.
    mutating func setWriting(
        _ options: WritingOptions, _ surroundings: Surroundings
    ) throws(Complaint) {
        if isReadOnly { try refuseWriting(options) }
        isWriteBack = options.writeBack
        try setSizes(options)
        flushTimeout = options.flushTimeout ?? flushTimeout
        storageClass = try options.storageClass.map { text throws(Complaint) in
            try Self.storageClass(text, isAmazon: endpoint == nil)
        }
        if let acl = options.acl {
            try Self.check(acl, among: Self.cannedACLs, "--acl")
            self.acl = acl
        }
        try setEncryption(options, surroundings)
        try setTags(options.tag)
        try Self.check(rules: options.cacheControl, "--cache-control")
        try Self.check(rules: options.contentType, "--content-type")
        cacheControl = options.cacheControl
        contentType = options.contentType
        readsMetadata = try Self.readsMetadata(options.objectMetadata)
    }

    /// What a read-only mount has no use for. A customer's key is not among it: reading takes it too.
    private func refuseWriting(_ options: WritingOptions) throws(Complaint) {
        let given = [
            options.writeBack ? "--write-back" : nil,
            options.stagingLimit == nil ? nil : "--staging-limit",
            options.partSize == nil ? nil : "--part-size",
            options.flushTimeout == nil ? nil : "--flush-timeout",
            options.quota == nil ? nil : "--quota",
            options.storageClass == nil ? nil : "--storage-class",
            options.acl == nil ? nil : "--acl", options.sse == nil ? nil : "--sse",
            options.sseKmsKeyID == nil ? nil : "--sse-kms-key-id",
            options.tag.isEmpty ? nil : "--tag",
            options.cacheControl.isEmpty ? nil : "--cache-control",
            options.contentType.isEmpty ? nil : "--content-type",
        ].compactMap { $0 }.first
        if let given {
            throw Complaint("--read-only and \(given) exclude each other; give one of them")
        }
    }

    private mutating func setSizes(_ options: WritingOptions) throws(Complaint) {
        if let size = options.partSize {
            guard Self.partSizes.contains(size) else {
                throw Complaint(
                    "--part-size must be between 5MiB and 5GiB, not \(ByteSize.format(size))")
            }
            partSize = size
        }
        stagingLimit = options.stagingLimit ?? max(stagingLimit, 4 * (partSize ?? 0))
        guard stagingLimit >= Self.leastStaging else {
            throw Complaint(
                "--staging-limit \(ByteSize.format(stagingLimit)) is below the least, "
                    + ByteSize.format(Self.leastStaging))
        }
        if let partSize, stagingLimit < 4 * partSize {
            throw Complaint(
                "--staging-limit must hold four parts: give at least \(ByteSize.format(4 * partSize)), "
                    + "or a smaller --part-size")
        }
        if let quota = options.quota, quota < 1 << 20 {
            throw Complaint(
                "--quota \(ByteSize.format(quota)) is below the least, 1MiB; is the unit missing?")
        }
        quota = options.quota
    }

    /// Servers other than Amazon's have classes of their own; a name that is nearly one of Amazon's
    /// is a slip everywhere.
    private static func storageClass(
        _ text: String, isAmazon: Bool
    ) throws(Complaint) -> String {
        let name = text.uppercased()
        if storageClasses.contains(name) { return name }
        let isName =
            !text.isEmpty && text.utf8.count <= 64
            && text.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0)
                    || (0x61...0x7A).contains($0) || $0 == 0x2D || $0 == 0x5F
            }
        if !isAmazon, isName, Suggestion.nearest(to: name, among: storageClasses) == nil {
            return text
        }
        try check(name, among: storageClasses, "--storage-class")
        return name
    }

    /// Refuses a word that is none of `words`, with the nearest of them.
    private static func check(
        _ text: String, among words: [String], _ option: String
    ) throws(Complaint) {
        guard !words.contains(text) else { return }
        let mend =
            Suggestion.nearest(to: text, among: words).map { "did you mean '\($0)'?" }
            ?? "write one of \(words.joined(separator: ", "))"
        throw Complaint("\(option) '\(Escaping.line(text))' is not known; \(mend)")
    }

    private mutating func setEncryption(
        _ options: WritingOptions, _ surroundings: Surroundings
    ) throws(Complaint) {
        if let file = options.sseCKeyFile {
            for (name, value) in [
                ("--sse", options.sse), ("--sse-kms-key-id", options.sseKmsKeyID),
            ] where value != nil {
                throw Complaint(
                    "--sse-c-key-file and \(name) exclude each other; give one of them")
            }
            guard !file.isEmpty else { throw Complaint("--sse-c-key-file is empty") }
            if let endpoint, Self.sendsInTheClear(endpoint) {
                throw Complaint(
                    "--sse-c-key-file would send the key in the clear to \(Escaping.line(endpoint)); "
                        + "write https://")
            }
            encryption = .customer(keyFile: surroundings.absolute(file))
            return
        }
        switch options.sse {
        case nil, "AES256":
            if options.sseKmsKeyID != nil {
                throw Complaint("--sse-kms-key-id needs --sse aws:kms")
            }
            encryption = options.sse == nil ? .none : .s3
        case "aws:kms":
            if let key = options.sseKmsKeyID {
                guard !key.isEmpty, key.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
                    throw Complaint(
                        "--sse-kms-key-id '\(Escaping.line(key))' is no key's id, ARN or alias")
                }
            }
            encryption = .kms(keyID: options.sseKmsKeyID)
        case let text?:
            try Self.check(text, among: ["AES256", "aws:kms"], "--sse")
        }
    }

    /// Plain HTTP to another machine.
    private static func sendsInTheClear(_ endpoint: String) -> Bool {
        let lower = endpoint.lowercased()
        guard lower.hasPrefix("http://") else { return false }
        let host = lower.dropFirst(7).prefix { $0 != "/" }
        return !["127.", "localhost", "[::1]"].contains { host.hasPrefix($0) }
    }

    private mutating func setTags(_ texts: [String]) throws(Complaint) {
        tags = []
        for text in texts {
            guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
                throw Complaint("--tag '\(Escaping.line(text))' is not KEY=VALUE")
            }
            let tag = Tag(
                name: String(text[..<equals]),
                value: String(text[text.index(after: equals)...]))
            let shown = Escaping.line(tag.name)
            if tags.contains(where: { $0.name == tag.name }) {
                throw Complaint("--tag '\(shown)' is given twice; an object has one value for each")
            }
            if tag.name.lowercased().hasPrefix("aws:") {
                throw Complaint("--tag '\(shown)' begins with aws:, which is Amazon's own")
            }
            guard tag.name.unicodeScalars.count <= 128, tag.value.unicodeScalars.count <= 256 else {
                throw Complaint(
                    "--tag '\(shown)' is longer than 128 letters, or its value than 256")
            }
            guard (tag.name + tag.value).unicodeScalars.allSatisfy(isTagLetter) else {
                throw Complaint(
                    "--tag '\(shown)' may hold letters, digits, spaces and + - = . _ : / @ only")
            }
            tags.append(tag)
        }
        guard tags.count <= Self.mostTags else {
            throw Complaint("--tag is given \(tags.count) times; an object has at most ten tags")
        }
    }

    private func isTagLetter(_ letter: Unicode.Scalar) -> Bool {
        letter.properties.isAlphabetic || letter.properties.numericType != nil || letter == " "
            || "+-=._:/@".unicodeScalars.contains(letter)
    }

    private static func check(rules: [String], _ option: String) throws(Complaint) {
        for rule in rules {
            do throws(NameRuleError) { _ = try NameRules([rule]) } catch {
                throw Complaint("\(option) '\(Escaping.line(rule))' \(error.reason)")
            }
        }
    }

    private static func readsMetadata(_ text: String?) throws(Complaint) -> Bool? {
        switch text {
        case nil, "auto": return nil
        case "on": return true
        case "off": return false
        case let text?:
            throw Complaint("--object-metadata '\(Escaping.line(text))' is none of on, off, auto")
        }
    }
}
