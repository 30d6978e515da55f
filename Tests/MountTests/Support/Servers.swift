// The S3 servers the tests play against. scripts/test starts them and says where they are; a test
// that does not find its server fails and says how to start it.

import Foundation
import Testing

enum Server: String, CaseIterable, CustomTestStringConvertible {
    /// A Ceph gateway: verifies signatures, policies and conditions.
    case rgw = "PAIL_TEST_RGW"
    /// moto: other habits, other corners of the protocol.
    case moto = "PAIL_TEST_MOTO"

    var testDescription: String { self == .rgw ? "RGW" : "moto" }

    /// The server's address, such as http://127.0.0.1:7480.
    func url() throws -> String { try Self.variable(rawValue) }

    /// Everything about the bucket is allowed to this user.
    static func owner() throws -> [String: String] { try user("OWNER") }

    /// This user may do three things: GetObject, ListBucket, GetBucketLocation.
    static func reader() throws -> [String: String] { try user("READER") }

    private static func user(_ name: String) throws -> [String: String] {
        [
            "AWS_ACCESS_KEY_ID": try variable("PAIL_TEST_\(name)_KEY"),
            "AWS_SECRET_ACCESS_KEY": try variable("PAIL_TEST_\(name)_SECRET"),
            "AWS_EC2_METADATA_DISABLED": "true", "AWS_PROFILE": "", "AWS_SESSION_TOKEN": "",
        ]
    }

    static func variable(_ name: String) throws -> String {
        try #require(
            ProcessInfo.processInfo.environment[name],
            "\(name) is not set: run the mount tests with scripts/test, which starts the servers")
    }
}

/// Where things are in the project.
enum Project {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
    static let reader = "\(root)/Tests/MountTests/Support/reader.py"
    static let s3 = "\(root)/scripts/lib/s3.py"

    /// A program among the tests' support files.
    static func support(_ name: String) -> String { "\(root)/Tests/MountTests/Support/\(name)" }

    /// A program of this package, next to pail.
    static func program(_ name: String) -> String {
        let pail = ProcessInfo.processInfo.environment["PAIL_BINARY"]
        let directory = pail.map { ($0 as NSString).deletingLastPathComponent }
        return "\(directory ?? "\(root)/.build/debug")/\(name)"
    }
}
