import ArgumentParser
import Testing

@testable import pail

/// Surroundings without anything in them.
func surroundings(
    _ environment: [String: String] = ["HOME": "/home/ann"], uid: UInt32 = 1000, gid: UInt32 = 1001
) -> Surroundings {
    Surroundings(
        environment: environment, workingDirectory: "/work dir", uid: uid, gid: gid,
        accounts: Accounts(
            user: { $0 == "www-data" ? 33 : nil }, group: { $0 == "www-data" ? 34 : nil }))
}

/// The configuration that a command line makes.
func configuration(
    _ arguments: String..., environment: [String: String] = ["HOME": "/home/ann"],
    uid: UInt32 = 1000
) throws -> MountConfiguration {
    let invocation = try Invocation(argv: ["pail", "mount"] + arguments)
    let command = try #require(try Runner.parse(invocation.arguments) as? MountCommand)
    return try command.configuration(surroundings(environment, uid: uid))
}

/// What is said about a wrong command line; nil when it is right.
func complaint(
    _ arguments: String..., environment: [String: String] = ["HOME": "/home/ann"]
) -> String? {
    do {
        let invocation = try Invocation(argv: ["pail", "mount"] + arguments)
        let command = try Runner.parse(invocation.arguments) as? MountCommand
        _ = try command?.configuration(surroundings(environment))
        return nil
    } catch {
        return "\(error)"
    }
}
