import Testing

@testable import pail

@Suite struct ValueTests {
    @Test(
        arguments: [
            ("0", 0), ("1", 1), ("512b", 512), ("1K", 1024), ("1KiB", 1024), ("1kB", 1000),
            ("512MiB", 512 << 20), ("512M", 512 << 20), ("512m", 512 << 20), ("512MB", 512_000_000),
            ("1GiB", 1 << 30), ("10G", 10 << 30), ("1GB", 1_000_000_000), ("2TiB", 2 << 40),
            ("1TB", 1_000_000_000_000), ("1PiB", 1 << 50), ("8191PiB", 8191 << 50),
            ("9223372036854775807", .max),
        ] as [(String, Int64)])
    func sizes(_ text: String, _ bytes: Int64) throws {
        #expect(try ByteSize.parse(text) == bytes)
    }

    @Test(arguments: [
        "", "G", "-1", "+1G", "1.5G", "1 G", "1Gi", "1GBB", "1X", "0x10", "８G", "8192PiB",
        "9223372036854775808",
    ])
    func wrongSizes(_ text: String) {
        #expect(throws: Complaint.self) { try ByteSize.parse(text) }
    }

    @Test(
        arguments: [
            (0, "0"), (1500, "1500"), (1024, "1KiB"), (64 << 20, "64MiB"), (10 << 30, "10GiB"),
        ] as [(Int64, String)])
    func writtenSizes(_ bytes: Int64, _ text: String) throws {
        #expect(ByteSize.format(bytes) == text)
        #expect(try ByteSize.parse(text) == bytes)
    }

    @Test(
        arguments: [
            (0, "0B"), (1023, "1023B"), (1024, "1.0KiB"), (1536, "1.5KiB"), (1 << 30, "1.0GiB"),
            ((1 << 30) - 1, "1023.9MiB"), (.max, "8191.9PiB"),
        ] as [(Int64, String)])
    func approximateSizes(_ bytes: Int64, _ text: String) {
        #expect(ByteSize.approximate(bytes) == text)
    }

    @Test func freeSpace() throws {
        #expect(try FreeSpace.parse("5%") == .percent(5))
        #expect(try FreeSpace.parse("2GiB") == .bytes(2 << 30))
        #expect(FreeSpace.percent(5).bytes(ofDisk: 1000) == 50)
        #expect(FreeSpace.bytes(7).bytes(ofDisk: 1000) == 7)
        for wrong in ["101%", "-1%", "%", "5 %", "x"] {
            #expect(throws: Complaint.self) { try FreeSpace.parse(wrong) }
        }
    }

    @Test(
        arguments: [
            ("0", .zero), ("0s", .zero), ("30s", .seconds(30)), ("5m", .seconds(300)),
            ("1h", .seconds(3600)), ("2d", .seconds(172_800)), ("1500ms", .milliseconds(1500)),
            ("forever", TimeSpan.forever), ("FOREVER", TimeSpan.forever),
            ("999999999d", TimeSpan.forever),
        ] as [(String, Duration)])
    func durations(_ text: String, _ duration: Duration) throws {
        #expect(try TimeSpan.parse(text) == duration)
    }

    @Test(arguments: [
        "", "30", "s", "-1s", "1.5s", "1y", "5 m", "99999999999999999999s", "1000000001s",
    ])
    func wrongDurations(_ text: String) {
        #expect(throws: Complaint.self) { try TimeSpan.parse(text) }
    }

    @Test(
        arguments: [("0644", 0o644), ("755", 0o755), ("0o700", 0o700), ("0", 0)]
            as [(String, UInt16)])
    func permissions(_ text: String, _ bits: UInt16) throws {
        #expect(try Permissions.parse(text) == bits)
    }

    @Test(arguments: ["", "8", "0999", "1755", "rwx", "+644", "-1", "0x1"])
    func wrongPermissions(_ text: String) {
        #expect(throws: Complaint.self) { try Permissions.parse(text) }
    }

    @Test func controlCharactersAreEscaped() {
        let wild = Escaping.line("a\nb\u{1B}[31m\u{7F}\u{9B}\u{202E}")
        #expect(wild == #"a\nb\u{1B}[31m\u{7F}\u{009B}\u{202E}"#)
        #expect(Escaping.line("사진 é") == "사진 é")
    }

    @Test func suggestions() {
        #expect(Suggestion.distance("cache-sze", "cache-size") == 1)
        #expect(Suggestion.distance("regoin", "region") == 1)
        #expect(Suggestion.distance("", "abc") == 3)
        #expect(Suggestion.nearest(to: "regoin", among: ["region", "profile"]) == "region")
        #expect(Suggestion.nearest(to: "zzz", among: ["region", "profile"]) == nil)
    }
}
