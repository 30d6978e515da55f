// pail as a service: what a service manager is told, and mounting by a user without rights.

import Foundation
import Testing

extension Mount {
    @Suite struct Service {
        @Test func `the service manager hears of the beginning and of the end`() throws {
            let bucket = try TestBucket()
            let directory = try TemporaryDirectory("notify")
            let path = directory / "socket"
            let socket = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
            try #require(socket >= 0)
            defer { close(socket) }
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
            let isBound = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
                }
            }
            try #require(isBound)
            var limit = timeval(tv_sec: 20, tv_usec: 0)
            setsockopt(
                socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            func hear() -> String {
                var buffer = [UInt8](repeating: 0, count: 4096)
                let count = recv(socket, &buffer, buffer.count, 0)
                return String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self)
            }
            let user = try Server.reader().merging(["NOTIFY_SOCKET": path]) { $1 }
            let pail = try MountedPail(bucket, user: user)
            let ready = hear()
            #expect(ready.hasPrefix("READY=1\n") && ready.contains(pail.mountpoint), "\(ready)")
            #expect(pail.stop().status == 0)
            #expect(hear() == "STOPPING=1")
        }

        @Test func `a user without rights mounts, asks and unmounts`() throws {
            try #require(geteuid() == 0, "only root can become another user")
            // Distributions let everybody open it; some containers do not.
            var device = stat()
            try #require(stat("/dev/fuse", &device) == 0)
            chmod("/dev/fuse", 0o666)
            defer { chmod("/dev/fuse", device.st_mode & 0o777) }
            let bucket = try TestBucket()
            try bucket.put("a", text: "text")
            let directory = try TemporaryDirectory("user", in: "/tmp")
            chmod(directory.path, 0o711)
            let point = try directory.makeDirectory("mnt")
            // Somebody else's build may not be his to enter.
            let pail = directory / "pail"
            try must("cp", Project.program("pail"), pail)
            for name in [".", "mnt"] { chown(directory / name, 65534, 65534) }
            var environment = try Server.reader()
            environment["HOME"] = directory.path
            environment["XDG_RUNTIME_DIR"] = directory.path
            environment["XDG_CACHE_HOME"] = ""
            let him = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
            func asHim(_ words: String...) throws -> Outcome {
                try RunningProgram(him + words, environment: environment).wait(limit: 60)
            }
            let mounted = try asHim(
                pail, "mount", bucket.name, point, "--endpoint-url", bucket.url, "--path-style",
                "--region", "us-east-1", "--read-only")
            try #require(mounted.status == 0, "\(mounted.errors)")
            defer { umount2(point, Int32(MNT_DETACH)) }
            #expect(try asHim("cat", point + "/a").text == "text")
            let socket = try asHim("find", directory.path, "-type", "s")
            #expect(socket.lines.count == 1)
            let flushed = try asHim(pail, "flush", point)
            #expect(flushed.status == 0, "\(flushed.errors)")
            // Another user learns that it is not his.
            let other = try run(
                "setpriv", "--reuid", "65533", "--regid", "65533", "--clear-groups", pail, "flush",
                point, environment: environment)
            #expect(other.status == 77 && other.errors.contains("another user"), "\(other.errors)")
            #expect(try asHim(pail, "unmount", point).status == 0)
            #expect(eventually { mountPoints(under: point).isEmpty })
            #expect(try eventually { try asHim("find", directory.path, "-type", "s").lines == [] })
        }

        @Test func `a background mount keeps none of the descriptors it was started with`() throws {
            let bucket = try TestBucket()
            let directory = try TemporaryDirectory("descriptors")
            let cache = try TemporaryDirectory("cache")
            let point = try directory.makeDirectory("mnt")
            let held = directory / "held"
            try held.write(text: "")
            let script = """
                import os, resource, sys
                resource.setrlimit(resource.RLIMIT_NOFILE, (3000, 4096))
                fd = os.open(sys.argv[1], os.O_RDONLY)
                for number in (40, 1500, 2900): os.dup2(fd, number, inheritable=True)
                os.execv(sys.argv[2], sys.argv[2:])
                """
            let words = [
                "python3", "-c", script, held, Project.program("pail"), "mount", bucket.name, point,
                "--endpoint-url", bucket.url, "--path-style", "--region", "us-east-1",
                "--read-only", "--cache-dir", cache.path,
            ]
            let started = try RunningProgram(words, environment: Server.reader()).wait(limit: 60)
            try #require(started.status == 0, "\(started.errors)")
            defer { umount2(point, Int32(MNT_DETACH)) }
            let daemons = try must("pgrep", "-f", "mount \(bucket.name) \(point)").lines
            try #require(daemons.count == 1)
            let open = try must("ls", "-l", "/proc/\(daemons[0])/fd").text
            #expect(!open.contains(held), "\(open)")
            try must(Project.program("pail"), "unmount", point)
            let isGone = eventually { access("/proc/\(daemons[0])", F_OK) != 0 }
            #expect(isGone)
        }
    }
}
