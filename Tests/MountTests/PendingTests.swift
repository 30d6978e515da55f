// Files that could not be published: the operator sees them, and loses none that he does not give up.

import Foundation
import Testing

extension Mount {
    @Suite struct Pending {
        /// Edits `x` while somebody else writes the same key, and gives the errno of close(2).
        private func loseRace(_ pail: MountedPail, _ bucket: TestBucket) throws -> String {
            try bucket.put("x", text: "old and older")
            return try must(
                "python3", "-c",
                """
                import os, subprocess, sys
                path, s3, url, bucket = sys.argv[1:]
                # Started before: a child that has the file for a moment would publish it.
                other = subprocess.Popen(["python3", s3, "--endpoint-url", url, "put", bucket],
                    stdin=subprocess.PIPE)
                fd = os.open(path, os.O_RDWR)
                assert os.read(fd, 100) == b"old and older"
                os.pwrite(fd, b"new", 0)
                other.communicate(b'{"key": "x", "text": "theirs"}')
                assert other.returncode == 0
                try:
                    os.close(fd)
                    print("published")
                except OSError as e:
                    print(e.errno)
                """, pail / "x", Project.s3, bucket.url, bucket.name,
                environment: Server.owner()
            ).text
        }

        private func pail(_ words: String...) throws -> Outcome {
            try RunningProgram([Project.program("pail")] + words).wait(limit: 60)
        }

        @Test func `a file that lost a race is kept until somebody decides`() throws {
            let bucket = try TestBucket(readable: false)
            let mount = try MountedPail(bucket, writable: true)
            let copies = try TemporaryDirectory("copies")
            #expect(try loseRace(mount, bucket) == "\(ESTALE)")
            let list = try pail("pending", "--json", mount.mountpoint).text
            #expect(list.contains(#""path":"x""#) && list.contains(#""state":"failed""#), "\(list)")
            #expect(try pail("flush", mount.mountpoint).status == 75)
            #expect(try pail("pending", mount.mountpoint, "--retry").status == 75)
            let saved = try pail("pending", mount.mountpoint, "--save", copies.path)
            #expect(saved.status == 0, "\(saved.errors)")
            #expect(try String(contentsOfFile: copies / "x", encoding: .utf8) == "new and older")
            // Nothing is overwritten, also not by the same again.
            try (copies / "x").write(text: "kept")
            #expect(try pail("pending", mount.mountpoint, "--save", copies.path).status == 75)
            #expect(try String(contentsOfFile: copies / "x", encoding: .utf8) == "kept")
            #expect(try pail("pending", mount.mountpoint, "--save", mount.mountpoint).status == 64)
            #expect(try pail("pending", mount.mountpoint, "--discard", "y").status == 66)
            #expect(try pail("pending", mount.mountpoint, "--discard", "x").status == 64)
            let gone = try pail("pending", mount.mountpoint, "--discard", "x", "--yes")
            #expect(gone.status == 0, "\(gone.errors)")
            #expect(try pail("pending", mount.mountpoint).text == "nothing is pending")
            #expect(try must("cat", mount / "x").text == "theirs")
            #expect(try pail("flush", mount.mountpoint).status == 0)
            // It can be written again as if nothing had been.
            try shell("echo again >\"$1\"", mount / "x")
            #expect(try must("cat", mount / "x").text == "again")
        }

        @Test func `it is kept over a crash too, and never replaces what is newer`() throws {
            let bucket = try TestBucket(readable: false)
            let cache = try TemporaryDirectory("cache")
            let copies = try TemporaryDirectory("copies")
            do {
                let mount = try MountedPail(bucket, writable: true, cache: cache)
                #expect(try loseRace(mount, bucket) == "\(ESTALE)")
                // It is kept behind the answer.
                let isKept = try eventually {
                    try pail("pending", "--json", mount.mountpoint).text.contains("since")
                }
                #expect(isKept)
                mount.crash()
            }
            let mount = try MountedPail(bucket, writable: true, cache: cache)
            #expect(try pail("pending", mount.mountpoint).text.contains("failed"))
            #expect(try must("cat", mount / "x").text == "theirs")
            let retried = try pail("pending", mount.mountpoint, "--retry")
            #expect(retried.status == 75 && retried.errors.contains("x: "), "\(retried.errors)")
            #expect(try must("cat", mount / "x").text == "theirs")
            #expect(try pail("pending", mount.mountpoint, "--save", copies.path).status == 0)
            #expect(try String(contentsOfFile: copies / "x", encoding: .utf8) == "new and older")
            #expect(
                try pail("pending", mount.mountpoint, "--discard", "--all", "--yes").status == 0)
            #expect(try pail("flush", mount.mountpoint).status == 0)
            mount.stop()
            let last = try MountedPail(bucket, writable: true, cache: cache)
            #expect(try pail("pending", last.mountpoint).text == "nothing is pending")
        }

        @Test func `unmounting without a server leaves the files to the next mount`() throws {
            let bucket = try TestBucket(readable: false)
            let cache = try TemporaryDirectory("cache")
            let relay = try FaultRelay(to: bucket.url)
            do {
                let mount = try MountedPail(
                    bucket, url: relay.url, writable: true, cache: cache, "--write-back",
                    "--flush-timeout", "1s")
                // A name that is known to be missing needs no server.
                try must("ls", mount.mountpoint)
                try relay.tell("stop")
                try (mount / "late").writeRandom(bytes: 3 << 20)
                try must("cp", mount / "late", cache / "copy")
                let flushed = try pail("flush", mount.mountpoint, "--timeout", "100ms")
                #expect(flushed.status == 75 && flushed.errors.contains("1 file is not"))
                let saved = try pail(
                    "pending", mount.mountpoint, "--save", cache.path, "late")
                #expect(saved.status == 0, "\(saved.errors)")
                try must("cmp", cache / "late", cache / "copy")
                let outcome = mount.stop(limit: 30)
                #expect(!outcome.isOverdue)
                #expect(mount.log.contains("1 files"), "\(mount.log.suffix(1000))")
            }
            try relay.tell("go")
            let mount = try MountedPail(
                bucket, url: relay.url, writable: true, cache: cache, "--write-back")
            #expect(try pail("flush", mount.mountpoint).status == 0)
            try must("cmp", mount / "late", cache / "copy")
        }

        @Test func `writers wait at the staging limit while files go up behind`() throws {
            let bucket = try TestBucket(readable: false)
            let local = try TemporaryDirectory("local")
            for number in 0..<60 { try (local / "f\(number)").writeRandom(bytes: 2 << 20) }
            let mount = try MountedPail(
                bucket, writable: true, "--write-back", "--staging-limit", "64MiB")
            try shell("cp \"$1\"/* \"$2\"", local.path, mount.mountpoint)
            #expect(try pail("flush", mount.mountpoint).status == 0)
            try must("diff", "-r", local.path, mount.mountpoint)
        }
    }
}
