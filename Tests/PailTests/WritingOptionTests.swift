import Glibc
import S3
import Testing

@testable import pail

@Suite struct WritingOptionTests {
    @Test func defaults() throws {
        let made = try configuration("bucket", "/m")
        #expect(!made.isWriteBack && made.stagingLimit == 2 << 30 && made.partSize == nil)
        #expect(made.flushTimeout == .seconds(300) && made.quota == nil)
        #expect(made.encryption == .none && made.storageClass == nil && made.readsMetadata == nil)
        #expect(try made.writeOptions() == WriteOptions())
    }

    @Test func everyOption() throws {
        let made = try configuration(
            "bucket", "/m", "--write-back", "--staging-limit", "1GiB", "--part-size", "64MiB",
            "--flush-timeout", "90s", "--quota", "10GiB", "--storage-class", "standard_ia", "--acl",
            "bucket-owner-full-control", "--sse", "aws:kms", "--sse-kms-key-id", "alias/x", "--tag",
            "team=a b", "--tag", "한=", "-o", "tag=x=y=z", "--cache-control", "*.html=no-cache",
            "--cache-control", "a/*=max-age=1, x", "--content-type", "*.x=text/x",
            "--object-metadata", "off")
        #expect(made.isWriteBack && made.stagingLimit == 1 << 30 && made.partSize == 64 << 20)
        #expect(made.flushTimeout == .seconds(90) && made.quota == 10 << 30)
        #expect(made.cacheControl == ["*.html=no-cache", "a/*=max-age=1, x"])
        #expect(made.contentType == ["*.x=text/x"] && made.readsMetadata == false)
        #expect(
            try made.writeOptions()
                == WriteOptions(
                    storageClass: StorageClass(rawValue: "STANDARD_IA"),
                    acl: "bucket-owner-full-control",
                    encryption: .kms(keyID: "alias/x", bucketKey: false),
                    tags: [.init("team", "a b"), .init("한", ""), .init("x", "y=z")]))
    }

    @Test func aLargePartMakesRoomForItself() throws {
        #expect(try configuration("bucket", "/m", "--part-size", "1GiB").stagingLimit == 4 << 30)
    }

    @Test func otherServersHaveOtherClasses() throws {
        let made = try configuration(
            "bucket", "/m", "--endpoint-url", "https://h", "--storage-class", "fast-ssd")
        #expect(made.storageClass == "fast-ssd")
    }

    @Test(
        arguments: [
            (["--storage-class", "STANDRAD_IA"], "did you mean 'STANDARD_IA'"),
            (
                ["--endpoint-url", "https://h", "--storage-class", "GLACIRE"],
                "did you mean 'GLACIER'"
            ),
            (["--storage-class", "fast-ssd"], "write one of STANDARD,"),
            (["--endpoint-url", "https://h", "--storage-class", "a b"], "write one of"),
            (["--acl", "pubic-read"], "did you mean 'public-read'"),
            (["--sse", "aes256"], "write one of AES256, aws:kms"),
            (["--sse-kms-key-id", "k"], "needs --sse aws:kms"),
            (["--sse", "AES256", "--sse-kms-key-id", "k"], "needs --sse aws:kms"),
            (["--sse", "aws:kms", "--sse-kms-key-id", "a b"], "no key's id"),
            (["--sse", "AES256", "--sse-c-key-file", "/k"], "exclude each other"),
            (["--endpoint-url", "http://h", "--sse-c-key-file", "/k"], "in the clear"),
            (["--read-only", "--write-back"], "--read-only and --write-back"),
            (["--read-only", "--tag", "a=b"], "--read-only and --tag"),
            (["--read-only", "--storage-class", "STANDARD"], "--read-only and --storage-class"),
            (["--part-size", "4MiB"], "between 5MiB and 5GiB"),
            (["--part-size", "6GiB"], "between 5MiB and 5GiB"),
            (["--staging-limit", "1MiB"], "the least, 64MiB"),
            (["--staging-limit", "1GiB", "--part-size", "512MiB"], "at least 2GiB"),
            (["--quota", "10"], "is the unit missing?"),
            (["--flush-timeout", "30"], "write 30s"),
            (["--tag", "x"], "is not KEY=VALUE"),
            (["--tag", "=x"], "is not KEY=VALUE"),
            (["--tag", "a=1", "--tag", "a=2"], "given twice"),
            (["--tag", "aws:x=1"], "Amazon's own"),
            (["--tag", "a=<"], "letters, digits"),
            (["--cache-control", "x"], "is not PATTERN=VALUE"),
            (["--content-type", "*.x=a\nb"], "printable ASCII"),
            (["--object-metadata", "maybe"], "none of on, off, auto"),
            (["-o", "writeback"], "pail's name for it is write-back"),
        ] as [([String], String)])
    func refusals(_ options: [String], _ words: String) throws {
        let said: String?
        do {
            let argv = ["pail", "mount", "bucket", "/m"] + options
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

    @Test func elevenTagsAreTooMany() {
        let tags = (0..<11).flatMap { ["--tag", "k\($0)=v"] }
        do {
            let argv = ["pail", "mount", "bucket", "/m"] + tags
            let command = try Runner.parse(Invocation(argv: argv).arguments) as? MountCommand
            _ = try command?.configuration(surroundings())
            Issue.record("accepted")
        } catch {
            #expect("\(error)".contains("11 times"))
        }
    }

    @Test func customerKeys() throws {
        let raw = (0..<32).map { UInt8($0 * 7 & 0xFF) }
        // As `base64` prints these bytes.
        let text = "AAcOFRwjKjE4P0ZNVFtiaXB3foWMk5qhqK+2vcTL0tk="
        let key = try #require(CustomerKey(raw))
        #expect(CustomerKeyFile.key(raw) == key)
        #expect(CustomerKeyFile.key(Array((text + "\n").utf8)) == key)
        #expect(CustomerKeyFile.key(Array((text.dropLast() + "A").utf8)) == nil)
        #expect(CustomerKeyFile.key(Array(raw.dropLast())) == nil)
        #expect(CustomerKeyFile.key([]) == nil)
    }

    @Test func keyFilesMustBePrivate() throws {
        let path = "/tmp/pail-key-test-\(getpid())"
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        try #require(descriptor >= 0)
        defer { unlink(path) }
        let bytes = [UInt8](repeating: 65, count: 32)
        #expect(write(descriptor, bytes, 32) == 32)
        close(descriptor)
        #expect(try CustomerKeyFile.read(path) == CustomerKey(bytes))
        chmod(path, 0o640)
        do {
            _ = try CustomerKeyFile.read(path)
            Issue.record("accepted")
        } catch {
            #expect(error.description.contains("chmod 600") && error.status == .configuration)
            #expect(!error.description.contains("AAAA"))
        }
        chmod(path, 0o600)
        truncate(path, 31)
        #expect(throws: CommandFailure.self) { try CustomerKeyFile.read(path) }
        #expect(throws: CommandFailure.self) { try CustomerKeyFile.read(path + "-none") }
    }
}
