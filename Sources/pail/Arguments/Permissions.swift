// Permission bits, users and groups on the command line.

import Glibc

/// Reads permission bits.
enum Permissions {
    /// The bits meant by an octal number such as `0644`, `755` or `0o755`.
    static func parse(_ text: String) throws(Complaint) -> UInt16 {
        let digits = text.hasPrefix("0o") ? text.dropFirst(2) : text[...]
        guard let bits = UInt16(digits, radix: 8), !digits.hasPrefix("+"), bits <= 0o777 else {
            throw Complaint("write permissions as an octal number such as 0644")
        }
        return bits
    }
}

/// Finds users and groups; passed in, so that tests need no /etc/passwd.
struct Accounts: Sendable {
    var user: @Sendable (String) -> UInt32?
    var group: @Sendable (String) -> UInt32?
    /// A user's home directory.
    var home: @Sendable (UInt32) -> String? = { _ in nil }

    /// getpwnam(3) and getgrnam(3).
    static let system = Accounts(
        user: { unsafe getpwnam($0)?.pointee.pw_uid },
        group: { unsafe getgrnam($0)?.pointee.gr_gid },
        home: { unsafe getpwuid($0).map { unsafe String(cString: $0.pointee.pw_dir) } })

    /// The number meant by `text`: a number, or a user's name.
    func uid(_ text: String) throws(Complaint) -> UInt32 {
        if let number = UInt32(text), number != .max { return number }
        guard let number = user(text) else {
            throw Complaint(
                "there is no user '\(Escaping.line(text))'; write a number or a user's name")
        }
        return number
    }

    /// The number meant by `text`: a number, or a group's name.
    func gid(_ text: String) throws(Complaint) -> UInt32 {
        if let number = UInt32(text), number != .max { return number }
        guard let number = group(text) else {
            throw Complaint(
                "there is no group '\(Escaping.line(text))'; write a number or a group's name")
        }
        return number
    }
}
