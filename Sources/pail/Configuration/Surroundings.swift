// What a configuration depends on besides the command line; passed in, so that building one is pure.

import Glibc

/// The process's surroundings.
struct Surroundings: Sendable {
    var environment: [String: String]
    /// Absolute.
    var workingDirectory: String
    var uid: UInt32
    var gid: UInt32
    var accounts: Accounts

    /// A variable that is set and not empty.
    func variable(_ name: String) -> String? {
        environment[name].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The user's home: HOME, else nil.
    var home: String? { variable("HOME") }

    /// `path` as an absolute path, with `~/` and the working directory filled in.
    func absolute(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        if path.hasPrefix("~/"), let home { return home + path.dropFirst(1) }
        return workingDirectory == "/" ? "/" + path : workingDirectory + "/" + path
    }

    /// The surroundings of this process.
    static func current() -> Surroundings {
        var environment: [String: String] = [:]
        var next = unsafe environ
        while let entry = unsafe next.pointee {
            let text = unsafe String(cString: entry)
            let name = text.prefix { $0 != "=" }
            environment[String(name)] = String(text.dropFirst(name.count + 1))
            unsafe next += 1
        }
        // mount(8) takes HOME away from its helpers.
        if environment["HOME"] ?? "" == "", let account = unsafe getpwuid(getuid()) {
            environment["HOME"] = unsafe String(cString: account.pointee.pw_dir)
        }
        var directory = "/"
        if let path = unsafe getcwd(nil, 0) {
            unsafe directory = String(cString: path)
            unsafe free(path)
        }
        return Surroundings(
            environment: environment, workingDirectory: directory, uid: getuid(), gid: getgid(),
            accounts: .system)
    }
}
