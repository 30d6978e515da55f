// From options to a configuration: precedence (option, then environment, then default), ranges, and
// options that make no sense together.

import Logging

extension MountConfiguration {
    /// Puts the options of `pail mount` together.
    init(
        source: String, mountpoint: String, options: SourceOptions, cache: CacheOptions,
        writing: WritingOptions, ownership: OwnershipOptions, process: ProcessOptions,
        surroundings: Surroundings
    ) throws(Complaint) {
        guard !mountpoint.isEmpty else { throw Complaint("the mountpoint is empty") }
        self.source = try BucketSource.parse(source)
        self.mountpoint = surroundings.absolute(mountpoint)
        uid = surroundings.uid
        gid = surroundings.gid
        try setServer(options, surroundings)
        try setCredentials(options, surroundings)
        try setCache(cache, surroundings)
        try setOwnership(ownership, surroundings)
        try setWriting(writing, surroundings)
        try setProcess(process, surroundings)
        let strict = endpoint == nil && addressing != .path
        try BucketName.check(self.source.bucket, strict: strict)
    }

    private mutating func setServer(
        _ options: SourceOptions, _ surroundings: Surroundings
    ) throws(Complaint) {
        region =
            options.region ?? surroundings.variable("AWS_REGION")
            ?? surroundings.variable("AWS_DEFAULT_REGION")
        if let region { try Self.check(region: region) }
        endpoint =
            options.endpointURL ?? surroundings.variable("AWS_ENDPOINT_URL_S3")
            ?? surroundings.variable("AWS_ENDPOINT_URL")
        if let endpoint {
            let name = options.endpointURL == nil ? "AWS_ENDPOINT_URL" : "--endpoint-url"
            try Self.check(endpoint: endpoint, name: name)
        }
        if options.pathStyle, options.virtualHosted {
            throw Complaint(
                "--path-style and --virtual-hosted exclude each other; give one of them")
        }
        addressing = options.pathStyle ? .path : options.virtualHosted ? .virtualHosted : nil
        isRequesterPays = options.requesterPays
        caBundle =
            (options.caBundle ?? surroundings.variable("AWS_CA_BUNDLE")).map(surroundings.absolute)
        if options.caBundle != nil, let endpoint, endpoint.lowercased().hasPrefix("http://") {
            throw Complaint(
                "--ca-bundle has no use with the plain \(endpoint); write https:// or leave it out")
        }
        if let count = options.maxConnections {
            guard (1...1024).contains(count) else {
                throw Complaint("--max-connections must be between 1 and 1024, not \(count)")
            }
            maxConnections = count
        }
    }

    private mutating func setCredentials(
        _ options: SourceOptions, _ surroundings: Surroundings
    ) throws(Complaint) {
        let given = [
            options.noSignRequest ? "--no-sign-request" : nil,
            options.credentialsCSV == nil ? nil : "--credentials-csv",
            options.profile == nil ? nil : "--profile",
        ].compactMap { $0 }
        if given.count > 1 {
            throw Complaint("\(given[0]) and \(given[1]) exclude each other; give one of them")
        }
        if options.noSignRequest, options.requesterPays {
            throw Complaint(
                "--requester-pays needs credentials to bill; leave --no-sign-request out")
        }
        if options.profile?.isEmpty == true { throw Complaint("--profile is empty") }
        isAnonymous = options.noSignRequest
        profile = options.profile
        credentialsCSV = options.credentialsCSV.map(surroundings.absolute)
    }

    private mutating func setCache(
        _ options: CacheOptions, _ surroundings: Surroundings
    ) throws(Complaint) {
        stagingDirectory =
            options.cacheDir.map(surroundings.absolute)
            ?? Self.defaultCacheDirectory(surroundings)
        if options.noCache {
            let given =
                options.cacheDir != nil
                ? "--cache-dir"
                : options.cacheSize != nil
                    ? "--cache-size" : options.cacheFree != nil ? "--cache-free" : nil
            if let given {
                throw Complaint("--no-cache and \(given) exclude each other; give one of them")
            }
        } else {
            cacheDirectory = stagingDirectory
        }
        if let size = options.cacheSize, size < Self.leastCache {
            throw Complaint(
                "--cache-size \(ByteSize.format(size)) is below the least, "
                    + "\(ByteSize.format(Self.leastCache)); is the unit missing? (--no-cache keeps nothing)"
            )
        }
        cacheSize = options.cacheSize
        cacheFree = options.cacheFree
        if let limit = options.memoryLimit {
            guard limit >= Self.leastMemory else {
                throw Complaint(
                    "--memory-limit \(ByteSize.format(limit)) is below the least, "
                        + "\(ByteSize.format(Self.leastMemory))")
            }
            memoryLimit = Int(limit)
        }
        metadataTTL = options.metadataTTL ?? metadataTTL
    }

    private mutating func setOwnership(
        _ options: OwnershipOptions, _ surroundings: Surroundings
    ) throws(Complaint) {
        isReadOnly = options.readOnly
        if let text = options.uid { uid = try surroundings.accounts.uid(text) }
        if let text = options.gid { gid = try surroundings.accounts.gid(text) }
        if let umask = options.umask {
            fileMode = 0o666 & ~umask
            directoryMode = 0o777 & ~umask
        }
        fileMode = options.fileMode ?? fileMode
        directoryMode = options.dirMode ?? directoryMode
        allowsOthers = options.allowOther
        allowsNonEmpty = options.nonempty
    }

    private mutating func setProcess(
        _ options: ProcessOptions, _ surroundings: Surroundings
    ) throws(Complaint) {
        staysInForeground = options.foreground
        if let text = options.logLevel {
            guard let level = Logger.Level(rawValue: text.lowercased()) else {
                throw Complaint(
                    "--log-level '\(Escaping.line(text))' is none of trace, debug, info, notice, warning, error"
                )
            }
            logLevel = level
        }
        logFile = options.logFile.map(surroundings.absolute)
        debugHTTP = options.debugHTTP
    }

    private static func check(region: String) throws(Complaint) {
        let isName = region.utf8.allSatisfy {
            (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0) || (0x30...0x39).contains($0)
                || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_")
        }
        guard isName, !region.isEmpty, region.utf8.count <= 63 else {
            throw Complaint(
                "the region '\(Escaping.line(region))' is no region's name; write one such as eu-west-1"
            )
        }
    }

    /// `http://HOST[:PORT][/PATH]` or the same with https, and nothing else.
    private static func check(endpoint: String, name: String) throws(Complaint) {
        let lower = endpoint.lowercased()
        guard lower.hasPrefix("http://") || lower.hasPrefix("https://") else {
            throw Complaint(
                "\(name) '\(shown(endpoint))' must begin with https:// or http://; write https://\(shown(endpoint))"
            )
        }
        let rest = endpoint.dropFirst(lower.hasPrefix("https") ? 8 : 7)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        if authority.contains("@") {
            throw Complaint(
                "\(name) must not contain a user name or password; use a profile for secrets")
        }
        guard !authority.isEmpty, !rest.contains("?"), !rest.contains("#"),
            rest.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else {
            throw Complaint(
                "\(name) '\(shown(endpoint))' is not a server's address such as https://s3.example.org:9000"
            )
        }
        let host = authority.hasPrefix("[") ? authority.drop { $0 != "]" }.dropFirst() : authority
        let port = host.drop { $0 != ":" }.dropFirst()
        if host.contains(":"), UInt16(port).map({ $0 == 0 }) ?? true {
            throw Complaint(
                "\(name) '\(shown(endpoint))' has a port that is no number from 1 to 65535")
        }
    }

    /// Without what might be a password.
    private static func shown(_ endpoint: String) -> String {
        Escaping.line(endpoint.split(separator: "@").last ?? "")
    }
}
