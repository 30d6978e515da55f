// The bucket changes while it is mounted.

import Foundation
import Testing

extension Mount {
    @Suite struct Changes {
        struct Seen: Decodable {
            let values: [UInt8]
            let bytes: Int
            let size: Int
            let errno: Int32
        }

        /// Writes `bytes` times one letter to a file and puts it.
        func fill(_ bucket: TestBucket, _ key: String, with letter: String, bytes: Int) throws {
            let scratch = try TemporaryDirectory("letters")
            try shell(
                "head -c \"$1\" /dev/zero | tr '\\0' \"$2\" >\"$3\"", "\(bytes)", letter,
                scratch / "file")
            try bucket.put(key, file: scratch / "file")
        }

        @Test(arguments: Server.allCases, [12 << 20, 20 << 20])
        func `a file replaced while open gives old bytes or ESTALE, never a mix`(
            server: Server, newSize: Int
        ) throws {
            let bucket = try TestBucket(on: server)
            try fill(bucket, "file", with: "A", bytes: 20 << 20)
            let pail = try MountedPail(bucket, "--metadata-ttl", "1s", "--no-cache")
            let scratch = try TemporaryDirectory("signals")
            let program = try RunningProgram([
                "python3", Project.reader, "interrupted", pail / "file", scratch / "ready",
                scratch / "go",
            ])
            try #require(
                eventually { FileManager.default.fileExists(atPath: scratch / "ready") })
            try fill(bucket, "file", with: "B", bytes: newSize)
            usleep(1_500_000)
            try must("ls", "-l", pail.mountpoint)
            try (scratch / "go").write(text: "")
            let outcome = program.wait(limit: 40)
            try #require(outcome.status == 0, "\(outcome.errors)")
            let seen = try JSONDecoder().decode(Seen.self, from: outcome.output)
            #expect(seen.values == [65], "bytes of two versions")
            if seen.errno == 0 {
                #expect(seen.bytes == 20 << 20)
            } else {
                #expect(seen.errno == ESTALE)
            }
            // A new open sees the new object, whole.
            try shell(
                """
                test "$(stat -c %s "$1")" = "$2"
                test "$(tr -d B <"$1" | wc -c)" = 0
                """, pail / "file", "\(newSize)")
        }

        @Test(arguments: Server.allCases)
        func `a change made elsewhere is seen after the TTL`(server: Server) throws {
            let bucket = try TestBucket(on: server)
            try bucket.put("dir/kept", text: "one")
            try bucket.put("dir/changed", text: "old")
            try bucket.put("dir/deleted", text: "x")
            let pail = try MountedPail(bucket, "--metadata-ttl", "1s")
            #expect(try must("cat", pail / "dir/changed").text == "old")
            #expect(try run("cat", pail / "dir/added").status != 0)
            #expect(try must("ls", pail / "dir").lines == ["changed", "deleted", "kept"])
            try bucket.put("dir/changed", text: "new and longer")
            try bucket.put("dir/added", text: "here")
            try bucket.delete("dir/deleted")
            usleep(1_200_000)
            #expect(eventually { (try? run("cat", pail / "dir/added").text) == "here" })
            #expect(try must("cat", pail / "dir/changed").text == "new and longer")
            #expect(try must("ls", pail / "dir").lines == ["added", "changed", "kept"])
            #expect(try run("cat", pail / "dir/deleted").status != 0)
            #expect(try must("cat", pail / "dir/kept").text == "one")
        }

        @Test func `a TTL of 0 shows a change at once`() throws {
            let bucket = try TestBucket()
            try bucket.put("file", text: "old")
            let pail = try MountedPail(bucket, "--metadata-ttl", "0")
            #expect(try must("cat", pail / "file").text == "old")
            try bucket.put("file", text: "new!")
            #expect(try must("cat", pail / "file").text == "new!")
        }

        @Test func `a TTL of forever keeps what it saw`() throws {
            let bucket = try TestBucket()
            try bucket.put("file", text: "old")
            let pail = try MountedPail(bucket, "--metadata-ttl", "forever")
            #expect(try must("ls", pail.mountpoint).lines == ["file"])
            try bucket.put("later", text: "x")
            usleep(1_200_000)
            #expect(try must("ls", pail.mountpoint).lines == ["file"])
        }
    }
}
