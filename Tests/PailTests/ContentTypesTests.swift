// The media type of a name: built-in, from a mime.types file, and of names that have none.

import ContentTypes
import Testing

struct ContentTypesTests {
    @Test(arguments: [
        ("a.html", "text/html; charset=utf-8"), ("A.HTML", "text/html; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"), ("a.json", "application/json"),
        ("a.tar.gz", "application/gzip"), ("v1.2.jxl", "image/jxl"), ("x.xml", "text/xml"),
        ("noext", ContentTypes.unknown), (".html", ContentTypes.unknown),
        ("a.", ContentTypes.unknown), ("", ContentTypes.unknown),
        (".a.css", "text/css; charset=utf-8"),
    ])
    func builtin(name: String, type: String) {
        #expect(ContentTypes().type(of: Array(name.utf8)) == type)
    }

    @Test func fileWinsAndCommentsDoNot() {
        let text =
            "# text/x-no html\nimage/x-a\t\tpng  Foo # bar\r\nbroken zip\na/b/c pdf\nx/y\nx/z b.foo"
        let types = ContentTypes(mimeTypes: Array(text.utf8))
        func type(_ name: String) -> String { types.type(of: Array(name.utf8)) }
        #expect(type("a.png") == "image/x-a")
        #expect(type("a.foo") == "image/x-a")
        #expect(type("a.b.foo") == "x/z")
        #expect(type("a.bar") == ContentTypes.unknown)
        #expect(type("a.html") == "text/html; charset=utf-8")
        #expect(type("a.zip") == "application/zip")
        #expect(type("a.pdf") == "application/pdf")
    }

    @Test func hugeFileIsCutAtALine() {
        let filler = [UInt8](repeating: 0x23, count: ContentTypes.mostBytes - 14) + [0x0A]
        let types = ContentTypes(mimeTypes: filler + Array("x/y aaa\nx/z cut\n".utf8))
        #expect(types.type(of: Array("n.aaa".utf8)) == "x/y")
        #expect(types.type(of: Array("n.cut".utf8)) == ContentTypes.unknown)
        #expect(types.type(of: Array("n.c".utf8)) == ContentTypes.unknown)
    }

    @Test func namesAreBytes() {
        #expect(ContentTypes().type(of: [0xFF, 0xFE, 0x2E, 0x70, 0x64, 0x66]) == "application/pdf")
        let long = [UInt8](repeating: 0x2E, count: 100_000) + Array("pdf".utf8)
        #expect(ContentTypes().type(of: long) == "application/pdf")
    }
}
