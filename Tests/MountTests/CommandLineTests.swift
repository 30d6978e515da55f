// The program as people and init systems call it: the daemon, mount(8), and one clear line with the
// right exit status for each thing that can be wrong.

import Foundation
import Testing

extension Mount {
    @Suite struct CommandLine {
        let pail = Project.program("pail")
        let directory: TemporaryDirectory
        let mountpoint: String

        init() throws {
            directory = try TemporaryDirectory("line")
            mountpoint = try directory.makeDirectory("mnt")
        }

        func mount(
            _ source: String, at point: String? = nil, url: String, user: [String: String]? = nil,
            _ options: String...
        ) throws -> Outcome {
            try RunningProgram(
                [
                    pail, "mount", source, point ?? mountpoint, "--endpoint-url", url,
                    "--path-style",
                    "--region", "us-east-1", "--cache-dir", directory / "cache",
                ] + options,
                environment: user ?? Server.reader()
            ).wait(limit: 60)
        }

        /// One line on stderr that matches, the status, and nothing mounted.
        func expectRefusal(
            _ outcome: Outcome, status: Int32, _ pattern: String, secrets: [String] = [],
            at location: SourceLocation = #_sourceLocation
        ) throws {
            let lines = outcome.errors.split(separator: "\n")
            #expect(lines.count == 1, "\(outcome.errors)", sourceLocation: location)
            #expect(outcome.status == status, "\(outcome.errors)", sourceLocation: location)
            #expect(
                outcome.errors.range(of: pattern, options: [.regularExpression, .caseInsensitive])
                    != nil, "\(outcome.errors)", sourceLocation: location)
            #expect(!outcome.isOverdue, sourceLocation: location)
            #expect(mountPoints(under: mountpoint).isEmpty, sourceLocation: location)
            for secret in secrets {
                #expect(!outcome.errors.contains(secret), sourceLocation: location)
            }
        }

        @Test func `the daemon's parent returns when the files are there`() throws {
            let bucket = try TestBucket()
            try bucket.put("file", text: "here")
            let outcome = try mount(bucket.name, url: bucket.url)
            try #require(outcome.status == 0, "\(outcome.errors)")
            // These credentials may not write: one line says so.
            #expect(outcome.errors.split(separator: "\n").count == 1)
            #expect(outcome.errors.contains("mounted read-only"), "\(outcome.errors)")
            #expect(try must("cat", "\(mountpoint)/file").text == "here")
            try must(pail, "unmount", mountpoint)
            #expect(mountPoints(under: mountpoint).isEmpty)
            #expect(eventually { (try? run("pgrep", "-f", mountpoint).status) != 0 })
        }

        @Test(arguments: [SIGTERM, SIGINT, SIGHUP])
        func `a signal unmounts, even while files are read`(signal: Int32) throws {
            let bucket = try TestBucket()
            let local = try TemporaryDirectory("local")
            try (local / "file").writeRandom(bytes: 30 << 20)
            try bucket.put("file", file: local / "file")
            let relay = try FaultRelay(to: bucket.url, ["--rate", "4"])
            let mounted = try MountedPail(
                bucket, url: relay.url, "--no-cache", "--max-connections", "1")
            let reading = try RunningProgram(["cat", mounted / "file"])
            usleep(300_000)
            kill(mounted.program.processID, signal)
            let outcome = mounted.program.wait(limit: 15)
            #expect(outcome.status == 0 && !outcome.isOverdue, "\(outcome.errors)")
            #expect(mountPoints(under: mounted.mountpoint).isEmpty)
            #expect(!reading.wait(limit: 10).isOverdue)
        }

        @Test func `no such bucket`() throws {
            let outcome = try mount("pail-no-such-bucket", url: Server.rgw.url())
            try expectRefusal(outcome, status: 66, "pail-no-such-bucket")
        }

        @Test func `wrong secret, wrong key id, no permission`() throws {
            let bucket = try TestBucket(readable: false)
            var user = try Server.owner()
            user["AWS_SECRET_ACCESS_KEY"] = "Wr0ngSecretThatMustNotShow"
            try expectRefusal(
                mount(bucket.name, url: bucket.url, user: user), status: 77, "secret",
                secrets: ["Wr0ngSecretThatMustNotShow"])
            user["AWS_ACCESS_KEY_ID"] = "AKIANOBODY"
            try expectRefusal(
                mount(bucket.name, url: bucket.url, user: user), status: 77, "AKIANOBODY|key id",
                secrets: ["Wr0ngSecretThatMustNotShow"])
            try expectRefusal(
                mount(bucket.name, url: bucket.url), status: 77, "s3:ListBucket")
        }

        @Test func `no credentials at all`() throws {
            let bucket = try TestBucket()
            var user = try Server.owner()
            for name in user.keys where name.contains("KEY") { user[name] = "" }
            user["HOME"] = directory.path
            user["AWS_CONFIG_FILE"] = directory / "none"
            user["AWS_SHARED_CREDENTIALS_FILE"] = directory / "none"
            let outcome = try mount(bucket.name, url: bucket.url, user: user)
            #expect(outcome.status == 77 || outcome.status == 78)
            try expectRefusal(outcome, status: outcome.status, "credentials")
        }

        @Test func `unreachable endpoint and wrong usage`() throws {
            let port = try freePort()
            try expectRefusal(
                mount("some-bucket", url: "http://127.0.0.1:\(port)"), status: 69, "127.0.0.1")
            try expectRefusal(
                mount("some-bucket", url: "http://no-such-host.invalid"), status: 69,
                "no-such-host.invalid")
            try expectRefusal(
                mount("bucket/path", url: "http://127.0.0.1:\(port)"), status: 64, "bucket:/path")
            try expectRefusal(
                mount("b-b-b", url: "http://127.0.0.1:\(port)", user: nil, "--cache-size", "many"),
                status: 64, "cache-size")
            try expectRefusal(
                mount("b-b-b", url: "http://127.0.0.1:\(port)", user: nil, "--cach-size", "1G"),
                status: 64, "--cache-size")
        }

        @Test func `mountpoint missing, not a directory, not empty, in use, stale`() throws {
            let bucket = try TestBucket()
            try bucket.put("file", text: "x")
            try expectRefusal(
                mount(bucket.name, at: directory / "absent", url: bucket.url), status: 66,
                "absent.*mkdir")
            try (directory / "plain").write(text: "")
            try expectRefusal(
                mount(bucket.name, at: directory / "plain", url: bucket.url), status: 66,
                "not a directory")
            let full = try directory.makeDirectory("full")
            try "\(full)/something".write(text: "")
            try expectRefusal(
                mount(bucket.name, at: full, url: bucket.url), status: 66, "not empty")

            let mounted = try MountedPail(bucket)
            let again = try mount(bucket.name, at: mounted.mountpoint, url: bucket.url)
            #expect(again.status != 0)
            #expect(again.errors.contains("already mounted"), "\(again.errors)")
            kill(mounted.program.processID, SIGKILL)
            _ = mounted.program.wait(limit: 10)
            let stale = try mount(bucket.name, at: mounted.mountpoint, url: bucket.url)
            #expect(stale.status != 0)
            #expect(stale.errors.contains("unmount"), "\(stale.errors)")
            try must(pail, "unmount", mounted.mountpoint)
            #expect(mountPoints(under: mounted.mountpoint).isEmpty)
        }

        @Test func `mount(8) and a line of fstab`() throws {
            try #require(geteuid() == 0, "mount(8) of a new type is for root")
            let bucket = try TestBucket()
            try bucket.put("base/file", text: "from fstab")
            let options =
                "ro,allow_other,uid=1000,gid=1000,umask=027,_netdev,nofail,x-systemd.automount,"
                + "endpoint-url=\(bucket.url),region=us-east-1,path-style,"
                + "cache-dir=\(directory / "cache"),metadata-ttl=5s"
            let source = "\(bucket.name):/base"
            try (directory / "fstab").write(
                text: "\(source) \(mountpoint) fuse.pail \(options),noauto 0 0\n")
            // mount.fuse3 looks for pail in its own PATH. In a mount namespace of its own, the test
            // puts pail there without touching the machine.
            let outcome = try run(
                "unshare", "--mount", "bash", "-euc",
                """
                mkdir "$1/bin" && ln -s "$2" "$1/bin/pail"
                mount --bind "$1/bin" /usr/local/bin
                mount -t fuse.pail "$3" "$4" -o "$5"
                cat "$4/file"; stat -c ' %u %g %a' "$4/file"; umount "$4"
                mount --fstab "$1/fstab" "$4"
                cat "$4/file"; umount "$4"
                """, "bash", directory.path, pail, source, mountpoint, options,
                environment: Server.reader())
            try #require(outcome.status == 0, "\(outcome.errors)")
            #expect(outcome.text == "from fstab 1000 1000 640\nfrom fstab")
            #expect(eventually { (try? run("pgrep", "-f", mountpoint).status) != 0 })
        }

        @Test func `the credentials never show in the arguments or the log`() throws {
            let bucket = try TestBucket()
            try bucket.put("file", text: "x")
            let user = try Server.reader()
            let secret = try #require(user["AWS_SECRET_ACCESS_KEY"])
            let mounted = try MountedPail(bucket, "--log-level", "trace", "--debug-http")
            try must("cat", mounted / "file")
            let line = try String(
                contentsOfFile: "/proc/\(mounted.program.processID)/cmdline", encoding: .utf8)
            #expect(!line.contains(secret))
            mounted.stop()
            #expect(!mounted.log.contains(secret))
            #expect(mounted.log.firstMatch(of: /Signature=[0-9a-f]{64}/) == nil)
        }
    }
}
