// Every key of a bucket has exactly one path, and nothing outside the BasePath has any.

import Foundation
import Testing

extension Mount {
    @Suite struct Names {
        struct Entry: Decodable {
            let path: Data
            let key: Data
            let text: String
        }

        /// What a walk over the mounted directory finds.
        func walk(_ pail: MountedPail) throws -> [Entry] {
            try reader("walk", pail.mountpoint).lines.map {
                try JSONDecoder().decode(Entry.self, from: Data($0.utf8))
            }
        }

        static let oddKeys = [
            "plain", "dir/file", "x", "x/y", "x/y/z", "a//b", "a///b", "/leading", "//two",
            "./dot", "../up", "in/./middle", "in/../middle", "end/..", "end/.", "...", "trail/ ",
            " space ", "tab\tnew\nline", "+%&=#?", "%2F", "100%", "한국어/키", "back\\slash",
            "quote\"'", "*?[glob]", "~", "caf\u{E9}", "cafe\u{301}", "\u{1F5BC}", "a:b", "-rf",
            "no\u{7f}", "ctrl\u{1}",
        ]

        @Test func `every odd key has one path, its own content and its own key attribute`() throws
        {
            let bucket = try TestBucket()
            var objects: [[UInt8]: String] = [:]
            for key in Self.oddKeys { objects[Array(key.utf8)] = "content of \(key)" }
            // As long as a key may be: in one component, and in many.
            objects[Array(String(repeating: "n", count: 1024).utf8)] = "one component of 1,024"
            objects[Array((String(repeating: "d/", count: 511) + "ee").utf8)] = "deep"
            objects[Array(String(repeating: "c", count: 255).utf8)] = "longest component"
            objects[Array(String(repeating: "c", count: 256).utf8)] = "one byte longer"
            try bucket.put(objects)
            let pail = try MountedPail(bucket)
            let entries = try walk(pail)
            var found: [[UInt8]: String] = [:]
            for entry in entries {
                #expect(found[Array(entry.key)] == nil, "two paths for one key")
                found[Array(entry.key)] = entry.text
            }
            #expect(Set(entries.map(\.path)).count == entries.count)
            for (key, text) in objects {
                let name = String(decoding: key, as: UTF8.self).prefix(60)
                #expect(found[key] == text, "key \(name.debugDescription)")
            }
            #expect(found.count == objects.count)
        }

        @Test func `an object and a prefix of the same name are both reachable`() throws {
            let bucket = try TestBucket()
            try bucket.put("name", text: "object")
            try bucket.put("name/child", text: "child")
            let pail = try MountedPail(bucket)
            #expect(try must("stat", "-c", "%F", pail / "name").text == "directory")
            #expect(try must("cat", pail / "name/child").text == "child")
            #expect(try walk(pail).contains { $0.key == Data("name".utf8) && $0.text == "object" })
        }

        @Test(
            arguments: Server.allCases, ["/assets", "assets/", "/assets/", "assets"])
        func `a BasePath shows what is below it, and not its neighbours`(
            server: Server, path: String
        ) throws {
            let bucket = try TestBucket(on: server)
            try bucket.put("assets/cat.png", text: "cat")
            try bucket.put("assets/sub/dog.png", text: "dog")
            try bucket.put("assets-old/secret", text: "no")
            try bucket.put("assets", text: "no")
            try bucket.put("other", text: "no")
            let pail = try MountedPail(bucket, path: path)
            #expect(try must("cat", pail / "cat.png").text == "cat")
            let names = try must("find", pail.mountpoint, "-type", "f", "-printf", "%P\n").lines
            #expect(Set(names) == ["cat.png", "sub/dog.png"])
            for outside in ["../other", "-old/secret", "../assets-old/secret", "assets"] {
                #expect(try run("cat", pail / outside).status != 0, "\(outside)")
            }
        }

        @Test(arguments: Server.allCases)
        func `marker objects are directories of mode 755, empty or not`(server: Server) throws {
            let bucket = try TestBucket(on: server)
            try bucket.put("empty/", text: "")
            try bucket.put("full/", text: "")
            try bucket.put("full/file", text: "x")
            try bucket.put("implicit/file", text: "y")
            let pail = try MountedPail(bucket)
            let list = try must(
                "stat", "-c", "%a %F", pail / "empty", pail / "full", pail / "implicit")
            #expect(list.lines == Array(repeating: "755 directory", count: 3))
            #expect(try must("ls", "-A", pail / "empty").text == "")
            #expect(try must("ls", "-A", pail / "full").text == "file")
            #expect(try must("ls", "-A", pail.mountpoint).lines == ["empty", "full", "implicit"])
        }

        @Test func `extended attributes tell what S3 knows`() throws {
            let bucket = try TestBucket()
            try bucket.put(
                "dir/cat+1.png", text: "meow",
                headers: ["content-type": "image/png", "x-amz-meta-colour": "black"])
            let pail = try MountedPail(bucket, path: "/dir")
            let text = try reader("attributes", pail / "cat+1.png").output
            let values = try JSONDecoder().decode([String: String].self, from: text)
            #expect(values["user.s3.key"] == "dir/cat+1.png")
            let etag = values["user.s3.etag"]?.trimmingCharacters(in: ["\""])
            #expect(etag == "4a4be40c96ac6314e91d93f38043a634")
            #expect(values["user.s3.content-type"] == "image/png")
            #expect(values["user.s3.meta.colour"] == "black")
            #expect(values["user.s3.url"]?.hasSuffix("/\(bucket.name)/dir/cat%2B1.png") == true)
            try must("getfattr", "-n", "user.s3.etag", pail / "cat+1.png")
        }

        @Test func `a directory of many pages lists every name once and can be seeked in`() throws {
            let bucket = try TestBucket()
            var objects: [[UInt8]: String] = [:]
            for number in 0..<2500 { objects[Array("many/n\(number)".utf8)] = "" }
            try bucket.put(objects)
            let pail = try MountedPail(bucket)
            #expect(try reader("seek-directory", pail / "many").text == "2500")
            #expect(try must("ls", "-U", pail / "many").lines.count == 2500)
        }
    }
}
