// Where control sockets are: a directory that only one user can enter, in it one socket for each
// mountpoint, named by a hash of its path.
//
// Sockets are bound under another name and renamed once they listen, so that one that refuses a
// connection is dead. No symbolic link is followed in the directory or to it; paths are given to the
// kernel relative to the open directory, so their length does not matter.

import CPlatform
import Glibc

/// Why there is no connection to a daemon, or no socket. One line.
public struct ControlError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Kind: Sendable {
        /// No daemon listens.
        case absent
        case notPermitted
        /// It does not answer, or not with what we understand.
        case silent
        case other
    }

    public var kind: Kind
    public var description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }

    init(_ what: String, errno number: Int32) {
        let kind: Kind = number == EACCES || number == EPERM ? .notPermitted : .other
        self.init(kind, "\(what): \(unsafe String(cString: strerror(number)))")
    }
}

/// An open directory of control sockets.
public final class ControlFolder: Sendable {
    let descriptor: Int32
    let owner: UInt32

    /// Opens a directory of a user's.
    ///
    /// - Parameters:
    ///   - owner: whom it must belong to; others may have no right to it.
    ///   - makes: makes it, and what is above it.
    public init(_ path: String, owner: UInt32, makes: Bool) throws(ControlError) {
        if makes {
            for (index, letter) in path.enumerated() where letter == "/" && index > 0 {
                unsafe mkdir(String(path.prefix(index)), 0o700)
            }
            unsafe mkdir(path, 0o700)
        }
        let opened = unsafe pail_openat(
            AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
        guard opened >= 0 else {
            if opened == -ENOENT { throw ControlError(.absent, "\(path) does not exist") }
            throw ControlError("cannot open \(path)", errno: -opened)
        }
        var status = stat()
        guard unsafe fstat(opened, &status) == 0, status.st_uid == owner,
            status.st_mode & 0o077 == 0
        else {
            close(opened)
            throw ControlError(
                .notPermitted, "\(path) is not private to its user; run chmod 700 \(path)")
        }
        descriptor = opened
        self.owner = owner
    }

    deinit { close(descriptor) }

    /// The socket's name for a mountpoint: 128 bits of FNV-1a, which nobody else can place names
    /// beside; the daemon is asked whether it is the right one all the same.
    static func name(_ mountpoint: String) -> String {
        [0xCBF2_9CE4_8422_2325, 0x6C62_272E_07BB_0142].map { (basis: UInt64) in
            let hash = mountpoint.utf8.reduce(basis) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
            let text = String(hash, radix: 16)
            return String(repeating: "0", count: 16 - text.utf8.count) + text
        }.joined()
    }

    // MARK: Sockets

    /// A listening socket under the mountpoint's name; an older one's place is taken.
    func listen(_ mountpoint: String) throws(ControlError) -> Int32 {
        sweep()
        let temporary = "new-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        let listener = try Self.makeSocket()
        let isBound = unsafe withAddress(temporary) { unsafe bind(listener, $0, $1) } == 0
        guard isBound, unsafe fchmodat(descriptor, temporary, 0o600, 0) == 0,
            Glibc.listen(listener, 64) == 0,
            unsafe renameat(descriptor, temporary, descriptor, Self.name(mountpoint)) == 0
        else {
            let number = errno
            close(listener)
            unsafe unlinkat(descriptor, temporary, 0)
            throw ControlError("cannot make a control socket", errno: number)
        }
        return listener
    }

    /// Device and inode of a mountpoint's socket; nil when there is none.
    func identity(_ mountpoint: String) -> [UInt64]? {
        var status = stat()
        guard
            unsafe fstatat(descriptor, Self.name(mountpoint), &status, AT_SYMLINK_NOFOLLOW) == 0,
            status.st_mode & S_IFMT == S_IFSOCK, status.st_uid == owner
        else { return nil }
        return [UInt64(status.st_dev), UInt64(status.st_ino)]
    }

    func remove(_ mountpoint: String) {
        unsafe unlinkat(descriptor, Self.name(mountpoint), 0)
    }

    /// A connection to the daemon of a mountpoint.
    func connect(_ mountpoint: String) throws(ControlError) -> Int32 {
        guard identity(mountpoint) != nil else {
            throw ControlError(.absent, "no daemon listens for \(mountpoint)")
        }
        let connection = try Self.makeSocket()
        var number = connect(connection, Self.name(mountpoint))
        if number == 0 {
            let peer = pail_peer_uid(connection)
            if peer == Int64(owner) { return connection }
            number = EPERM
        }
        close(connection)
        if number == ECONNREFUSED {
            throw ControlError(.absent, "the daemon of \(mountpoint) is gone")
        }
        throw ControlError("cannot reach the daemon of \(mountpoint)", errno: number)
    }

    /// 0 or an errno.
    private func connect(_ connection: Int32, _ name: String) -> Int32 {
        while true {
            if unsafe withAddress(name, { unsafe Glibc.connect(connection, $0, $1) }) == 0 {
                return 0
            }
            if errno != EINTR { return errno }
        }
    }

    /// Removes what dead daemons have left.
    private func sweep() {
        let opened = unsafe pail_openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard opened >= 0 else { return }
        guard let stream = unsafe fdopendir(opened) else {
            close(opened)
            return
        }
        defer { unsafe closedir(stream) }
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { field in
                unsafe field.withMemoryRebound(to: CChar.self, capacity: 256) { text in
                    unsafe String(cString: text)
                }
            }
            if isDead(name) { unsafe unlinkat(descriptor, name, 0) }
        }
    }

    private func isDead(_ name: String) -> Bool {
        var status = stat()
        guard unsafe fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0,
            status.st_mode & S_IFMT == S_IFSOCK
        else { return false }
        if name.hasPrefix("new-") {
            // Not listening yet, as long as its process lives.
            let process = name.split(separator: "-").dropFirst().first.flatMap { pid_t($0) }
            return process.map { kill($0, 0) != 0 && errno == ESRCH } ?? true
        }
        guard let probe = try? Self.makeSocket() else { return false }
        defer { close(probe) }
        _ = fcntl(probe, F_SETFL, O_NONBLOCK)
        return connect(probe, name) == ECONNREFUSED
    }

    private static func makeSocket() throws(ControlError) -> Int32 {
        let made = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard made >= 0 else { throw ControlError("cannot make a socket", errno: errno) }
        return made
    }

    private func withAddress(
        _ name: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = Array("/proc/self/fd/\(descriptor)/\(name)".utf8)
        precondition(path.count < MemoryLayout.size(ofValue: address.sun_path))
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path) }
        return unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
