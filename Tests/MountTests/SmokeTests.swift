import Testing

@Suite struct Smoke {
    @Test func bucket() throws {
        let b = try TestBucket()
        try b.put("a//b", text: "x")
        #expect(try run("echo", "hi").text == "hi")
        #expect(try run("sleep", "5", limit: 0.2).isOverdue)
    }
}
