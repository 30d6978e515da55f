// The block cache on the local disk: it survives crashes, stays inside its limit, and is never
// believed without its checksums.

import Foundation
import Testing

extension Mount {
    @Suite struct Cache {
        let bucket: TestBucket
        let local: TemporaryDirectory

        init() throws {
            bucket = try TestBucket()
            local = try TemporaryDirectory("local")
            try (local / "file").writeRandom(bytes: 12_345_678)
            try bucket.put("file", file: local / "file")
        }

        /// Bytes below a directory, as the disk counts them.
        func usage(_ directory: TemporaryDirectory) throws -> Int {
            let text = try must("du", "-s", "-B1", directory.path).text
            return try #require(Int(text.prefix { $0.isNumber }))
        }

        /// Requests that carry data: all but those that a fresh mount needs to look around.
        func requestsToRead(_ pail: MountedPail, _ relay: FaultRelay) throws -> Int {
            try must("ls", "-l", pail.mountpoint)
            let before = try relay.requests()
            try must("cmp", pail / "file", local / "file")
            return try relay.requests() - before
        }

        @Test func `after kill -9 and a new mount the cached file costs no request`() throws {
            let relay = try FaultRelay(to: bucket.url)
            let cache = try TemporaryDirectory("cache")
            let first = try MountedPail(bucket, url: relay.url, cache: cache)
            #expect(try requestsToRead(first, relay) > 0)
            usleep(1_500_000)  // blocks are written off the read path
            first.crash()
            let second = try MountedPail(bucket, url: relay.url, cache: cache)
            try MountedPail.dropPageCache()
            #expect(try requestsToRead(second, relay) == 0)
        }

        @Test func `the cache serves while the server is away`() throws {
            let relay = try FaultRelay(to: bucket.url)
            let pail = try MountedPail(bucket, url: relay.url, "--metadata-ttl", "forever")
            try must("cmp", pail / "file", local / "file")
            usleep(1_000_000)
            try relay.tell("stop")
            try MountedPail.dropPageCache()
            try must("cmp", pail / "file", local / "file")
            try relay.tell("go")
        }

        @Test func `corrupted cache files give the right bytes, fetched again`() throws {
            let relay = try FaultRelay(to: bucket.url)
            let cache = try TemporaryDirectory("cache")
            let first = try MountedPail(bucket, url: relay.url, cache: cache)
            _ = try requestsToRead(first, relay)
            usleep(1_500_000)
            first.stop()
            // Every large file of the cache gets a byte in each of its chunks overwritten.
            try shell(
                """
                find "$1" -type f -size +1M -print0 | while IFS= read -r -d '' file; do
                    python3 -c '
                import os, sys
                with open(sys.argv[1], "r+b") as file:
                    for place in range(100, os.path.getsize(sys.argv[1]), 16384):
                        file.seek(place); byte = file.read(1)
                        file.seek(place); file.write(bytes([byte[0] ^ 0x40]))' "$file"
                done
                """, cache.path)
            let second = try MountedPail(bucket, url: relay.url, cache: cache)
            try MountedPail.dropPageCache()
            #expect(try requestsToRead(second, relay) > 0, "was anything corrupted at all?")
        }

        @Test func `truncated and scribbled cache files do no harm`() throws {
            let cache = try TemporaryDirectory("cache")
            let first = try MountedPail(bucket, cache: cache)
            try must("cmp", first / "file", local / "file")
            usleep(1_500_000)
            first.stop()
            try shell(
                """
                find "$1" -type f | while IFS= read -r file; do
                    truncate -s $(($(stat -c %s "$file") / 2)) "$file"
                    printf scribble | dd of="$file" conv=notrunc bs=1 status=none
                done
                """, cache.path)
            let second = try MountedPail(bucket, cache: cache)
            try MountedPail.dropPageCache()
            try must("cmp", second / "file", local / "file")
        }

        @Test func `the cache stays inside its limit`() throws {
            try (local / "large").writeRandom(bytes: 80 << 20)
            try bucket.put("large", file: local / "large")
            let pail = try MountedPail(bucket, "--cache-size", "24MiB")
            try must("cmp", pail / "large", local / "large")
            try must("cmp", pail / "file", local / "file")
            var highest = 0
            for _ in 0..<10 {
                highest = max(highest, try usage(pail.cache))
                usleep(100_000)
            }
            // The index has a file of its own beside the blocks.
            #expect(highest <= 26 << 20, "\(highest) bytes")
            try MountedPail.dropPageCache()
            try must("cmp", pail / "large", local / "large")
        }

        @Test func `a full cache disk is survived`() throws {
            try #require(geteuid() == 0, "only root may mount the small disk this test needs")
            let cache = try TemporaryDirectory("cache")
            try must("mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", cache.path)
            let pail = try MountedPail(
                bucket, cache: cache, "--cache-size", "1GiB", "--cache-free", "0%")
            try must("cmp", pail / "file", local / "file")
            try MountedPail.dropPageCache()
            try must("cmp", pail / "file", local / "file")
            pail.stop()
        }

        @Test func `an unusable cache directory is said once and lived without`() throws {
            let scratch = try TemporaryDirectory("blocked")
            try (scratch / "taken").write(text: "a file, not a directory")
            let pail = try MountedPail(bucket, "--cache-dir", scratch / "taken/cache")
            try must("cmp", pail / "file", local / "file")
            let warnings = pail.log.components(separatedBy: "\n").filter { $0.contains("taken") }
            #expect(warnings.count == 1, "\(pail.log)")
        }

        @Test func `two mounts share one cache directory`() throws {
            let cache = try TemporaryDirectory("cache")
            let relay = try FaultRelay(to: bucket.url)
            let first = try MountedPail(bucket, cache: cache)
            let second = try MountedPail(bucket, url: relay.url, cache: cache)
            try shell(
                "cmp \"$1\" \"$3\" & cmp \"$2\" \"$3\" && wait $!", first / "file",
                second / "file", local / "file")
            usleep(1_000_000)
            try MountedPail.dropPageCache()
            try must("cmp", first / "file", local / "file")
            try must("cmp", second / "file", local / "file")
            let show = try must(
                Project.program("pail"), "cache", "show", "--cache-dir", cache.path)
            #expect(show.text.contains(cache.path))
            try must(Project.program("pail"), "cache", "clear", "--cache-dir", cache.path)
            try MountedPail.dropPageCache()
            try must("cmp", first / "file", local / "file")
        }
    }
}
