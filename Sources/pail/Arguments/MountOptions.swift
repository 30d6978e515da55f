// The options of `pail mount` as ArgumentParser reads them. What they mean together is decided in
// MountConfiguration.

import ArgumentParser

/// Which bucket, and how to reach it.
struct SourceOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The bucket's region. Default: AWS_REGION, AWS_DEFAULT_REGION, the profile, else asked of S3.",
            valueName: "region"))
    var region: String?

    @Option(
        help: ArgumentHelp(
            "The server, for S3 services other than Amazon's. Default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL.",
            valueName: "url"))
    var endpointURL: String?

    @Option(
        help: ArgumentHelp(
            "The profile in ~/.aws/credentials and ~/.aws/config. Default: AWS_PROFILE, else 'default'.",
            valueName: "name"))
    var profile: String?

    @Option(
        help: ArgumentHelp(
            "Take the key from the file that the IAM console downloads.", valueName: "file"))
    var credentialsCSV: String?

    @Flag(help: "Send requests without credentials, for public buckets.")
    var noSignRequest = false

    @Flag(help: "Address the bucket as https://SERVER/BUCKET.")
    var pathStyle = false

    @Flag(help: "Address the bucket as https://BUCKET.SERVER.")
    var virtualHosted = false

    @Flag(help: "Agree to pay for the requests to a requester-pays bucket.")
    var requesterPays = false

    @Option(
        help: ArgumentHelp(
            "Certificates to trust instead of the system's, as PEM. Default: AWS_CA_BUNDLE.",
            valueName: "file"))
    var caBundle: String?

    @Option(
        help: ArgumentHelp(
            "The most connections to the server at once, 1 to 1024. Default: 64.",
            valueName: "count"))
    var maxConnections: Int?
}

/// Memory, disk, and how long to believe what was listed.
struct CacheOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Where to keep blocks on the local disk. Default: $XDG_CACHE_HOME/pail, ~/.cache/pail; root: /var/cache/pail.",
            valueName: "directory"))
    var cacheDir: String?

    @Option(
        help: ArgumentHelp(
            "The most disk to use. Default: 10GiB, or a tenth of the disk if that is less.",
            valueName: "size"),
        transform: { try ByteSize.parse($0) })
    var cacheSize: Int64?

    @Option(
        help: ArgumentHelp(
            "The space to leave free on that disk, as a size or a percentage. Default: 5%, at least 1GiB.",
            valueName: "size|percent"),
        transform: { try FreeSpace.parse($0) })
    var cacheFree: FreeSpace?

    @Flag(help: "Keep nothing on the local disk.")
    var noCache = false

    @Option(
        help: ArgumentHelp(
            "The most memory for file data, at least 64MiB. Default: 256MiB.", valueName: "size"),
        transform: { try ByteSize.parse($0) })
    var memoryLimit: Int64?

    @Option(
        name: .customLong("metadata-ttl"),
        help: ArgumentHelp(
            "How long names and attributes are believed without asking again: 30s, 5m, 0, forever. Default: 60s.",
            valueName: "duration"),
        transform: { try TimeSpan.parse($0) })
    var metadataTTL: Duration?
}

/// Who may do what on the mount.
struct OwnershipOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The owner of all files, a number or a name. Default: you.", valueName: "user"))
    var uid: String?

    @Option(
        help: ArgumentHelp(
            "The group of all files, a number or a name. Default: yours.", valueName: "group"))
    var gid: String?

    @Option(
        help: ArgumentHelp(
            "Permissions to take away from files (0666) and directories (0777).",
            valueName: "octal"),
        transform: { try Permissions.parse($0) })
    var umask: UInt16?

    @Option(
        help: ArgumentHelp("Permissions of files. Default: 0644.", valueName: "octal"),
        transform: { try Permissions.parse($0) })
    var fileMode: UInt16?

    @Option(
        help: ArgumentHelp("Permissions of directories. Default: 0755.", valueName: "octal"),
        transform: { try Permissions.parse($0) })
    var dirMode: UInt16?

    @Flag(help: "Let other users see the mount, as the permissions allow.")
    var allowOther = false

    @Flag(help: "Mount on a directory that holds files; they are hidden meanwhile.")
    var nonempty = false

    @Flag(help: "Mount read-only: nothing in the bucket is ever changed.")
    var readOnly = false
}

/// How the process behaves.
struct ProcessOptions: ParsableArguments {
    @Flag(
        name: [.customShort("f"), .long],
        help: "Stay in the foreground, for systemd and containers.")
    var foreground = false

    @Option(
        help: ArgumentHelp(
            "The least serious messages to log: trace, debug, info, notice, warning, error. Default: info.",
            valueName: "level"))
    var logLevel: String?

    @Option(
        help: ArgumentHelp(
            "Append the log to a file. Default: standard error in the foreground, else syslog.",
            valueName: "file"))
    var logFile: String?

    @Flag(name: .customLong("debug-http"), help: "Log every request and response, without secrets.")
    var debugHTTP = false

    // Expanded before parsing (see Invocation); declared for the help page.
    @Option(
        name: .customShort("o"),
        help: ArgumentHelp(
            "Options as mount(8) writes them: ro,allow_other,uid=33,cache_size=1GiB.",
            valueName: "options"))
    var options: String?
}
