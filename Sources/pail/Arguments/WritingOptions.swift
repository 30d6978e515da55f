// The options of `pail mount` that concern writing. What they mean together is decided in
// MountConfiguration+Writing.

import ArgumentParser

/// When files reach the bucket, and what goes along with them.
struct WritingOptions: ParsableArguments {
    @Flag(
        help:
            "Let close(2) return once a file is safe on the local disk, and upload it behind. Default: close waits for the bucket."
    )
    var writeBack = false

    @Option(
        help: ArgumentHelp(
            "The most disk for files that are not in the bucket yet, at least 64MiB; writers wait at the limit. Default: 2GiB.",
            valueName: "size"),
        transform: { try ByteSize.parse($0) })
    var stagingLimit: Int64?

    @Option(
        help: ArgumentHelp(
            "The size of the parts of large files, 5MiB to 5GiB. Default: 8MiB, growing with the file.",
            valueName: "size"),
        transform: { try ByteSize.parse($0) })
    var partSize: Int64?

    @Option(
        help: ArgumentHelp(
            "At unmount, how long to wait for files that are not in the bucket yet; the rest stays on the local disk for the next mount. Default: 5m.",
            valueName: "duration"),
        transform: { try TimeSpan.parse($0) })
    var flushTimeout: Duration?

    @Option(
        help: ArgumentHelp(
            "The size that df shows for the mount. Default: plenty.", valueName: "size"),
        transform: { try ByteSize.parse($0) })
    var quota: Int64?

    @Option(
        help: ArgumentHelp(
            "The storage class of what is written: STANDARD_IA, GLACIER_IR, ... Default: the server's.",
            valueName: "class"))
    var storageClass: String?

    @Option(
        help: ArgumentHelp(
            "The canned ACL of what is written: private, public-read, bucket-owner-full-control, ... Default: none is sent.",
            valueName: "acl"))
    var acl: String?

    @Option(
        help: ArgumentHelp(
            "How the server encrypts what is written: AES256 or aws:kms. Default: as the bucket is set up.",
            valueName: "method"))
    var sse: String?

    @Option(
        name: .customLong("sse-kms-key-id"),
        help: ArgumentHelp(
            "The key for --sse aws:kms: its id, ARN or alias. Default: the bucket's.",
            valueName: "key"))
    var sseKmsKeyID: String?

    @Option(
        name: .customLong("sse-c-key-file"),
        help: ArgumentHelp(
            "A file of mode 0600 with your own key for reading and writing (SSE-C): 32 bytes, or those in base64.",
            valueName: "file"))
    var sseCKeyFile: String?

    @Option(
        help: ArgumentHelp(
            "A tag for what is written; may be given up to ten times.", valueName: "key=value"))
    var tag: [String] = []

    @Option(
        help: ArgumentHelp(
            "The Cache-Control of new files whose name matches: '*.html=no-cache'. May be given again; the last that matches counts.",
            valueName: "pattern=value"))
    var cacheControl: [String] = []

    @Option(
        help: ArgumentHelp(
            "The Content-Type of new files whose name matches: '*.ext=text/plain'. May be given again. Default: by the name's ending.",
            valueName: "pattern=value"))
    var contentType: [String] = []

    @Option(
        help: ArgumentHelp(
            "Whether owner, mode and times are read from objects' metadata: on, off, auto. Default: auto, on for mounts that can be written to.",
            valueName: "on|off|auto"))
    var objectMetadata: String?
}
