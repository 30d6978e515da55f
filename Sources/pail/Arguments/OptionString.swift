// `-o opt,opt=value`: the form that mount(8) and /etc/fstab speak, put into long options.

/// Translates mount(8)'s option strings.
enum OptionString {
    /// What an option of `pail mount` takes.
    enum Shape { case flag, value }

    /// Every long option of `pail mount`, without dashes. A test holds it against `--help`.
    static let options: [String: Shape] = [
        "region": .value, "endpoint-url": .value, "profile": .value, "credentials-csv": .value,
        "no-sign-request": .flag, "path-style": .flag, "virtual-hosted": .flag,
        "requester-pays": .flag, "ca-bundle": .value, "cache-dir": .value, "cache-size": .value,
        "cache-free": .value, "no-cache": .flag, "memory-limit": .value, "metadata-ttl": .value,
        "max-connections": .value, "uid": .value, "gid": .value, "umask": .value,
        "file-mode": .value, "dir-mode": .value, "allow-other": .flag, "read-only": .flag,
        "foreground": .flag, "nonempty": .flag, "log-level": .value, "log-file": .value,
        "debug-http": .flag, "write-back": .flag, "staging-limit": .value, "part-size": .value,
        "flush-timeout": .value, "quota": .value, "storage-class": .value, "acl": .value,
        "sse": .value, "sse-kms-key-id": .value, "sse-c-key-file": .value, "tag": .value,
        "cache-control": .value, "content-type": .value, "object-metadata": .value,
    ]

    /// Words that mean something to mount(8), to systemd or to the kernel, and nothing to us.
    /// `rw` is what mount(8) says when nobody asked for anything; `default_permissions` is always on.
    private static let ignored: Set<String> = [
        "rw", "defaults", "auto", "noauto", "user", "nouser", "users", "owner", "group", "exec",
        "noexec", "suid", "nosuid", "dev", "nodev", "atime", "noatime", "relatime", "norelatime",
        "strictatime", "nostrictatime", "diratime", "nodiratime", "lazytime", "nolazytime", "async",
        "sync", "dirsync", "nofail", "_netdev", "silent", "loud", "iversion", "noiversion", "mand",
        "nomand", "default_permissions", "auto_unmount",
    ]
    private static let ignoredPrefixes = [
        "x-", "X-", "comment=", "fsname=", "subtype=", "context=", "fscontext=", "defcontext=",
        "rootcontext=", "user=", "dev=", "_rnetdev",
    ]

    /// Names that other tools use for an option of ours.
    private static let elsewhere = [
        "url": "endpoint-url", "endpoint": "endpoint-url or region", "use-cache": "cache-dir",
        "cache": "cache-dir", "max-cache-size": "cache-size",
        "use-path-request-style": "path-style",
        "force-path-style": "path-style", "passwd-file": "credentials-csv", "mp-umask": "umask",
        "stat-cache-expire": "metadata-ttl", "stat-cache-ttl": "metadata-ttl",
        "ttl": "metadata-ttl",
        "dir-cache-time": "metadata-ttl", "public-bucket": "no-sign-request",
        "writeback": "write-back", "vfs-cache-mode": "write-back", "default-acl": "acl",
        "multipart-size": "part-size", "use-sse": "sse, or sse-c-key-file for a key of your own",
    ]

    /// The long options that mean the same: `ro,cache_size=1GiB` is `--read-only --cache-size=1GiB`.
    ///
    /// `_` and `-` are alike in names. A `,` or `\` within a value is written `\,` or `\\`.
    ///
    /// - Parameter sloppy: true ignores options nobody knows (mount(8)'s `-s`).
    static func longOptions(_ text: String, sloppy: Bool = false) throws(Complaint) -> [String] {
        var result: [String] = []
        for option in split(text) where !option.isEmpty {
            if ignored.contains(option) || ignoredPrefixes.contains(where: option.hasPrefix) {
                continue
            }
            let written = option.prefix { $0 != "=" }
            let value = option.dropFirst(written.count)
            let name =
                written == "ro"
                ? "read-only" : String(written.map { $0 == "_" ? "-" : $0 })
            switch (options[name], value.isEmpty) {
            case (.value, false): result.append("--\(name)\(value)")
            case (.flag, true): result.append("--\(name)")
            case (.value, true): throw Complaint("-o \(written) needs a value: \(written)=...")
            case (.flag, false): throw Complaint("-o \(written) takes no value")
            case (nil, _):
                if !sloppy { throw unknown(String(written), name) }
            }
        }
        return result
    }

    private static func unknown(_ written: String, _ name: String) -> Complaint {
        let shown = Escaping.line(written)
        if let ours = elsewhere[name] {
            return Complaint("unknown option '\(shown)' in -o; pail's name for it is \(ours)")
        }
        if let near = Suggestion.nearest(to: name, among: options.keys.sorted()) {
            let spelled = String(near.map { $0 == "-" && !written.contains("-") ? "_" : $0 })
            return Complaint("unknown option '\(shown)' in -o; did you mean '\(spelled)'?")
        }
        return Complaint("unknown option '\(shown)' in -o; see 'pail help mount'")
    }

    /// Cuts at commas that no backslash protects, and takes the backslashes away.
    private static func split(_ text: String) -> [String] {
        var parts = [""]
        var isEscaped = false
        for character in text {
            if isEscaped {
                if character != ",", character != "\\" { parts[parts.count - 1].append("\\") }
                parts[parts.count - 1].append(character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == "," {
                parts.append("")
            } else {
                parts[parts.count - 1].append(character)
            }
        }
        if isEscaped { parts[parts.count - 1].append("\\") }
        return parts
    }
}
