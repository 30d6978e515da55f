import Testing

@testable import pail

@Suite struct ConfigurationTests {
    @Test func defaults() throws {
        let made = try configuration("my-bucket:/assets", "mnt")
        #expect(
            made
                == MountConfiguration(
                    source: BucketSource(bucket: "my-bucket", rootPrefix: Array("assets/".utf8)),
                    mountpoint: "/work dir/mnt", cacheDirectory: "/home/ann/.cache/pail",
                    stagingDirectory: "/home/ann/.cache/pail", uid: 1000, gid: 1001))
        #expect(made.memoryLimit == 256 << 20 && made.metadataTTL == .seconds(60))
        #expect(made.fileMode == 0o644 && made.directoryMode == 0o755)
        #expect(made.maxConnections == 64 && made.logLevel == .info && !made.staysInForeground)
    }

    @Test func everyOption() throws {
        let made = try configuration(
            "My_Bucket", "/mnt", "--region", "eu-west-1", "--endpoint-url", "https://h:9000/s3",
            "--credentials-csv", "keys.csv", "--path-style", "--requester-pays", "--ca-bundle",
            "~/ca.pem", "--max-connections", "8", "--cache-dir", "/c", "--cache-size", "1GiB",
            "--cache-free", "10%", "--memory-limit", "64MiB", "--metadata-ttl", "forever", "--uid",
            "www-data", "--gid", "www-data", "--file-mode", "0600", "--dir-mode", "0700",
            "--allow-other", "--read-only", "-f", "--log-level", "debug", "--log-file", "l.txt",
            "--debug-http")
        #expect(made.region == "eu-west-1" && made.endpoint == "https://h:9000/s3")
        #expect(made.credentialsCSV == "/work dir/keys.csv" && made.addressing == .path)
        #expect(made.isRequesterPays && made.caBundle == "/home/ann/ca.pem")
        #expect(made.maxConnections == 8 && made.cacheDirectory == "/c")
        #expect(made.cacheSize == 1 << 30 && made.cacheFree == .percent(10))
        #expect(made.memoryLimit == 64 << 20 && made.metadataTTL == TimeSpan.forever)
        #expect(made.uid == 33 && made.gid == 34)
        #expect(made.fileMode == 0o600 && made.directoryMode == 0o700 && made.allowsOthers)
        #expect(made.staysInForeground && made.logLevel == .debug && made.debugHTTP)
        #expect(made.logFile == "/work dir/l.txt" && made.isReadOnly)
    }

    @Test func optionBeforeEnvironment() throws {
        let all = [
            "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2",
            "AWS_ENDPOINT_URL": "http://general", "AWS_ENDPOINT_URL_S3": "http://s3",
            "AWS_CA_BUNDLE": "/ca", "HOME": "/h",
        ]
        var environment = all
        let given = try configuration(
            "bucket", "/m", "--region", "us-east-2", "--endpoint-url", "https://option",
            "--ca-bundle", "/mine", environment: environment)
        #expect(given.region == "us-east-2" && given.endpoint == "https://option")
        #expect(given.caBundle == "/mine")
        let specific = try configuration("bucket", "/m", environment: environment)
        #expect(specific.region == "eu-west-1" && specific.endpoint == "http://s3")
        #expect(specific.caBundle == "/ca")
        environment["AWS_REGION"] = ""
        environment["AWS_ENDPOINT_URL_S3"] = nil
        let general = try configuration("bucket", "/m", environment: environment)
        #expect(general.region == "eu-west-2" && general.endpoint == "http://general")
        #expect(try configuration("bucket", "/m", environment: [:]).endpoint == nil)
    }

    @Test func lastOptionWins() throws {
        #expect(
            try configuration("bucket", "/m", "--region", "a-1", "-o", "region=b-1").region == "b-1"
        )
        #expect(
            try configuration("bucket", "/m", "-o", "region=b-1", "--region", "a-1").region == "a-1"
        )
    }

    @Test func masks() throws {
        let masked = try configuration("bucket", "/m", "--umask", "027")
        #expect(masked.fileMode == 0o640 && masked.directoryMode == 0o750)
        let mixed = try configuration("bucket", "/m", "--umask", "027", "--file-mode", "0400")
        #expect(mixed.fileMode == 0o400 && mixed.directoryMode == 0o750)
    }

    @Test func cacheDirectories() throws {
        let xdg = ["HOME": "/h", "XDG_CACHE_HOME": "/x"]
        #expect(try configuration("bucket", "/m", environment: xdg).cacheDirectory == "/x/pail")
        let relative = ["HOME": "/h", "XDG_CACHE_HOME": "x"]
        #expect(
            try configuration("bucket", "/m", environment: relative).cacheDirectory
                == "/h/.cache/pail")
        #expect(try configuration("bucket", "/m", environment: [:]).cacheDirectory == nil)
        #expect(try configuration("bucket", "/m", uid: 0).cacheDirectory == "/var/cache/pail")
        #expect(try configuration("bucket", "/m", "--no-cache").cacheDirectory == nil)
        #expect(MountConfiguration.defaultCacheSize(ofDisk: 20 << 30) == 2 << 30)
        #expect(MountConfiguration.defaultCacheSize(ofDisk: 1 << 40) == 10 << 30)
        #expect(MountConfiguration.defaultCacheFree(ofDisk: 1 << 30) == 1 << 30)
    }

    @Test(
        arguments: [
            (["--path-style", "--virtual-hosted"], "exclude each other"),
            (["--no-sign-request", "--profile", "p"], "exclude each other"),
            (["--credentials-csv", "f", "--profile", "p"], "exclude each other"),
            (["--no-sign-request", "--requester-pays"], "needs credentials"),
            (["--no-cache", "--cache-dir", "/c"], "exclude each other"),
            (["--no-cache", "--cache-size", "1G"], "exclude each other"),
            (["--no-cache", "--cache-free", "1G"], "exclude each other"),
            (["--cache-size", "512"], "is the unit missing?"),
            (["--cache-size", "12x"], "'--cache-size <size>': write a size"),
            (["--memory-limit", "63MiB"], "64MiB"),
            (["--max-connections", "0"], "between 1 and 1024"),
            (["--max-connections", "x"], "--max-connections"),
            (["--metadata-ttl", "30"], "write 30s"),
            (["--uid", "nobody-here"], "no user 'nobody-here'"),
            (["--gid", "-1"], "--gid"),
            (["--umask", "999"], "octal"),
            (["--log-level", "loud"], "trace, debug"),
            (["--region", "eu west"], "no region's name"),
            (["--region", ""], "no region's name"),
            (["--endpoint-url", "h:9000"], "write https://h:9000"),
            (["--endpoint-url", "ftp://h"], "https://"),
            (["--endpoint-url", "http://u:p@h"], "must not contain a user name"),
            (["--endpoint-url", "http://"], "is not a server's address"),
            (["--endpoint-url", "http://h?x"], "is not a server's address"),
            (["--endpoint-url", "http://h:99999"], "port"),
            (["--endpoint-url", "http://[::1]:x"], "port"),
            (["--endpoint-url", "http://h", "--ca-bundle", "/c"], "no use with the plain"),
            (["--profile", ""], "--profile is empty"),
            (["--read-write"], "is not needed"),
            (["--regoin", "x"], "Did you mean '--region'"),
            (["extra"], "unexpected argument"),
        ] as [([String], String)])
    func refusals(_ options: [String], _ words: String) throws {
        let argv = ["pail", "mount", "bucket", "/m"] + options
        let said: String?
        do {
            let command = try Runner.parse(Invocation(argv: argv).arguments) as? MountCommand
            _ = try command?.configuration(surroundings())
            said = nil
        } catch {
            said = "\(error)"
        }
        let line = try #require(said, "accepted")
        #expect(line.contains(words), "\(line)")
        #expect(!line.contains("\n"))
    }

    @Test func secretsInAnEndpointAreNotShown() throws {
        let line = try #require(complaint("bucket", "/m", "--endpoint-url", "u:secret@host"))
        #expect(!line.contains("secret"), "\(line)")
    }

    @Test func goodEndpoints() throws {
        for endpoint in ["http://h", "https://h:1", "HTTP://[::1]:9000/base", "https://a.b/c/d"] {
            #expect(
                try configuration("bucket", "/m", "--endpoint-url", endpoint).endpoint == endpoint)
        }
    }

    @Test func bucketRulesFollowTheServer() throws {
        #expect(complaint("My_Bucket", "/m") != nil)
        #expect(complaint("My_Bucket", "/m", "--path-style") == nil)
        #expect(complaint("My_Bucket", "/m", "--endpoint-url", "http://h") == nil)
    }
}
