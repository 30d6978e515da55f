// Patterns over names, and rules that cannot be read.

import ContentTypes
import Testing

struct NameRulesTests {
    @Test(arguments: [
        ("*.html", "a/b.html", true), ("*.html", "b.htm", false), ("a/*", "a/b/c", true),
        ("a/*", "b/c", false), ("?.x", "a.x", true), ("?.x", "aa.x", false), ("*", "", true),
        ("a*b*c", "aXbXbc", true), ("a*b*c", "aXcXb", false), ("a", "ab", false),
    ])
    func pattern(pattern: String, path: String, matches: Bool) throws {
        let rules = try NameRules([pattern + "=v"])
        #expect((rules.value(for: Array(path.utf8)) != nil) == matches)
    }

    @Test func lastMatchWins() throws {
        let rules = try NameRules(["*=max-age=60", "*.html=no-cache"])
        #expect(rules.value(for: Array("a.html".utf8)) == "no-cache")
        #expect(rules.value(for: Array("a.css".utf8)) == "max-age=60")
    }

    @Test(arguments: ["", "=v", "*.html", "*=", "*=a\r\nb", "*= a", "*=ü"])
    func refused(text: String) {
        #expect(throws: NameRuleError.self) { try NameRules([text]) }
    }
}
