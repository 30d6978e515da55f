// A bucket of a test's own: filled by the owner, readable by the three-permission user, removed with
// the test. It goes to the server directly, never through pail or a relay.

import Foundation
import Testing

final class TestBucket {
    let name: String
    let server: Server
    let url: String
    private let scratch: TemporaryDirectory

    /// Makes an empty bucket and lets the reader read it.
    init(on server: Server = .rgw, readable: Bool = true) throws {
        name = "pail-" + UUID().uuidString.lowercased().prefix(13)
        self.server = server
        url = try server.url()
        scratch = try TemporaryDirectory("bucket")
        try tool("make", name)
        if readable { try tool("policy", name, "reader") }
    }

    deinit { _ = try? tool("remove", name) }

    @discardableResult
    private func tool(_ words: String...) throws -> Outcome {
        let outcome = try RunningProgram(
            ["python3", Project.s3, "--endpoint-url", url] + words, environment: Server.owner()
        ).wait(limit: 120)
        try #require(outcome.status == 0, "s3.py \(words): \(outcome.errors)")
        return outcome
    }

    private func tool(_ command: String, entries: [[String: Any]]) throws {
        let lines = try entries.map {
            String(decoding: try JSONSerialization.data(withJSONObject: $0), as: UTF8.self)
        }
        let list = scratch / "entries"
        try list.write(text: lines.joined(separator: "\n") + "\n")
        let outcome = try RunningProgram(
            [
                "bash", "-c", "exec python3 \"$0\" --endpoint-url \"$1\" \"$2\" \"$3\" <\"$4\"",
                Project.s3, url, command, name, list,
            ], environment: Server.owner()
        ).wait(limit: 120)
        try #require(outcome.status == 0, "s3.py \(command): \(outcome.errors)")
    }

    /// Puts small objects, keys as bytes.
    func put(_ objects: [[UInt8]: String], headers: [String: String] = [:]) throws {
        try tool(
            "put",
            entries: objects.map {
                ["key64": Data($0.key).base64EncodedString(), "text": $0.value, "headers": headers]
            })
    }

    func put(_ key: String, text: String, headers: [String: String] = [:]) throws {
        try put([Array(key.utf8): text], headers: headers)
    }

    func put(_ key: String, file: String) throws {
        try tool(
            "put",
            entries: [["key64": Data(key.utf8).base64EncodedString(), "file": file]])
    }

    /// Keys of the multipart uploads that were neither completed nor aborted.
    func unfinishedUploads() throws -> [String] { try tool("uploads", name).lines }

    func put(tree directory: String, under prefix: String = "") throws {
        try tool("tree", name, directory, prefix)
    }

    func delete(_ key: String) throws {
        try tool("delete", entries: [["key64": Data(key.utf8).base64EncodedString()]])
    }
}
