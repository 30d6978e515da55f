// Ordinary programs read a mounted tree and find the bytes that are in the bucket.

import Foundation
import Testing

extension Mount {
    @Suite struct Reading {
        /// A tree on the local disk, put into a bucket: nested, with names in several scripts.
        final class Fixture {
            let local: TemporaryDirectory
            let bucket: TestBucket

            init(on server: Server) throws {
                local = try TemporaryDirectory("tree")
                bucket = try TestBucket(on: server)
                try shell(
                    """
                    cd "$1"
                    mkdir -p photos/2024/여름 'docs/with space' 'odd/+%&=#?'
                    for n in $(seq 30); do head -c $((n * 7919)) /dev/urandom >photos/2024/p$n.jpg; done
                    head -c 3000000 /dev/urandom >photos/2024/여름/바다.png
                    head -c 1048576 /dev/urandom >'docs/with space/exactly one block'
                    head -c 1048577 /dev/urandom >'docs/with space/one byte more'
                    head -c 17 /dev/urandom >'odd/+%&=#?/a+b%20c&d=e#f?g'
                    : >docs/empty
                    head -c 9000001 /dev/urandom >big
                    """, local.path)
                try bucket.put(tree: local.path)
            }
        }

        @Test(arguments: Server.allCases)
        func `a tree is whole under find, sha256sum, cp, cat and tar`(server: Server) throws {
            let fixture = try Fixture(on: server)
            let pail = try MountedPail(fixture.bucket)
            let copy = try TemporaryDirectory("copy")
            try shell(
                """
                diff <(cd "$1" && find . -type f | sort) <(cd "$2" && find . -type f | sort)
                (cd "$1" && find . -type f -print0 | xargs -0 sha256sum) >"$3/sums"
                (cd "$2" && sha256sum --quiet -c "$3/sums")
                mkdir "$3/cp" "$3/tar"
                cp -r "$2/." "$3/cp"
                diff -r "$1" "$3/cp"
                tar -C "$2" -cf - . | tar -C "$3/tar" -xf -
                diff -r "$1" "$3/tar"
                cmp <(cat "$1"/photos/2024/*.jpg) <(cat "$2"/photos/2024/*.jpg)
                """, fixture.local.path, pail.mountpoint, copy.path, limit: 120)
            try must("rm", "-rf", copy / "cp", copy / "tar")
        }

        @Test(arguments: Server.allCases)
        func `sizes, types, times and links are those of the objects`(server: Server) throws {
            let fixture = try Fixture(on: server)
            let pail = try MountedPail(fixture.bucket)
            let list = try must("stat", "-c", "%s %F %h", pail / "big", pail / "docs/empty")
            #expect(list.lines == ["9000001 regular file 1", "0 regular empty file 1"])
            #expect(try must("stat", "-c", "%F", pail / "photos").text == "directory")
            let blocks = try must("stat", "-c", "%b", pail / "big").text
            #expect(try #require(Int(blocks)) * 512 >= 9_000_001, "a file must not look sparse")
            let time = try must("stat", "-c", "%Y", pail / "big").text
            let age = Date().timeIntervalSince1970 - (try #require(Double(time)))
            #expect(abs(age) < 600, "the time is the object's Last-Modified")
            let inode = try must("stat", "-c", "%i", pail / "big").text
            #expect(try must("stat", "-c", "%i", pail / "big").text == inode)
            try must("ls", "-lR", pail.mountpoint)
            try must("du", "-s", pail.mountpoint)
            try must("df", pail.mountpoint)
            #expect(try run("cat", pail / "no such file").errors.contains("No such file"))
            #expect(try run("cat", pail / "big/below").errors.contains("Not a directory"))
        }

        @Test(arguments: Server.allCases)
        func `reads at odd offsets, past the end and through mmap`(server: Server) throws {
            let fixture = try Fixture(on: server)
            let pail = try MountedPail(fixture.bucket)
            let (file, copy) = (pail / "big", fixture.local / "big")
            for (size, skip) in [(1, 8_999_999), (777, 4321), (4097, 1000), (1_048_577, 3)] {
                try shell(
                    """
                    cmp <(dd if="$1" bs=$3 skip=$4 count=2 status=none) \
                        <(dd if="$2" bs=$3 skip=$4 count=2 status=none)
                    """, file, copy, "\(size)", "\(skip)")
            }
            try reader("scattered", file, copy, "150", "7")
            try reader("past-end", file)
            try reader("past-end", pail / "docs/empty")
            try reader("mmap", file, copy)
        }

        @Test func `64 readers at once each get the right bytes`() throws {
            let fixture = try Fixture(on: .rgw)
            let pail = try MountedPail(fixture.bucket)
            try reader(
                "parallel", "64", pail / "big", fixture.local / "big",
                pail / "photos/2024/여름/바다.png", fixture.local / "photos/2024/여름/바다.png",
                limit: 120)
        }

        @Test func `the kernel's page cache serves a second read without a request`() throws {
            let fixture = try Fixture(on: .rgw)
            let relay = try FaultRelay(to: fixture.bucket.url)
            let pail = try MountedPail(fixture.bucket, url: relay.url)
            try must("cmp", pail / "big", fixture.local / "big")
            let before = try relay.requests()
            try must("cmp", pail / "big", fixture.local / "big")
            #expect(try relay.requests() == before)
        }

        @Test func `cold open of a small file in a known directory costs one request`() throws {
            let fixture = try Fixture(on: .rgw)
            let relay = try FaultRelay(to: fixture.bucket.url)
            let pail = try MountedPail(fixture.bucket, url: relay.url)
            try must("ls", "-l", pail / "photos/2024")
            let before = try relay.requests()
            try must("cat", pail / "photos/2024/p17.jpg")
            #expect(try relay.requests() == before + 1)
        }

        @Test func `writing is refused`() throws {
            let fixture = try Fixture(on: .rgw)
            let pail = try MountedPail(fixture.bucket)
            for word in ["touch", "mkdir", "rm -r"] {
                let outcome = try run("bash", "-c", "\(word) \"$0\"", pail / "docs/empty")
                #expect(outcome.status != 0)
            }
            #expect(try run("bash", "-c", "echo x >>\"$0\"", pail / "big").status != 0)
            try must("cmp", pail / "big", fixture.local / "big")
        }
    }
}
