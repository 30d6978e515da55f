// Everything that can be wrong with a mountpoint, each with its mend.

public import Operations

/// Why a directory cannot be mounted on or unmounted. `description` is one line with the mend.
public enum MountpointError: Error, Sendable, Equatable, CustomStringConvertible {
    case missing(String)
    case notDirectory(String)
    case notEmpty(String)
    case notWritable(String)
    /// Mounted by pail already; with its source.
    case alreadyMounted(String, source: String)
    /// A mount whose daemon died; every access gives ENOTCONN.
    case stale(String, isPail: Bool)
    /// A mount whose daemon lives and does not answer.
    case hangs(String, source: String, isPail: Bool)
    case unreachable(String, Errno)
    case noDevice
    case deviceNotPermitted(Errno)
    case noAdminCapability
    case allowOtherNotAllowed
    case noHelper
    case notMounted(String)
    /// A mount, but not of pail; with its type.
    case foreign(String, type: String)
    case busy(String)
    case notPermitted(String)
    case failed(String, Errno, String)

    static let containerAdvice =
        "in a container, run it with --device /dev/fuse --cap-add SYS_ADMIN"

    public var description: String {
        switch self {
        case .missing(let path):
            "mountpoint \(path) does not exist; create it: mkdir -p \(Self.quoted(path))"
        case .notDirectory(let path):
            "mountpoint \(path) is not a directory; name a directory"
        case .notEmpty(let path):
            """
            mountpoint \(path) is not empty, and a mount would hide what is in it; \
            name an empty directory, or say -o nonempty
            """
        case .notWritable(let path):
            "mountpoint \(path) is not yours to write in; own it (chown), or mount as root"
        case .alreadyMounted(let path, let source):
            "\(source) is already mounted on \(path); unmount it first: pail unmount "
                + Self.quoted(path)
        case .stale(let path, let isPail):
            "mountpoint \(path) holds a mount whose daemon is gone; clear it: "
                + (isPail ? "pail unmount " : "fusermount3 -u ") + Self.quoted(path)
        case .hangs(let path, let source, let isPail):
            "the mount of \(source) on \(path) does not answer; clear it: "
                + (isPail ? "pail unmount --lazy " : "fusermount3 -uz ") + Self.quoted(path)
        case .unreachable(let path, let errno):
            "mountpoint \(path) cannot be reached: \(errno)"
        case .noDevice:
            "/dev/fuse does not exist; load the module (modprobe fuse); \(Self.containerAdvice)"
        case .deviceNotPermitted(.accessDenied):
            """
            /dev/fuse may not be opened by this user; let users open it: sudo chmod 666 /dev/fuse, \
            or mount as root
            """
        case .deviceNotPermitted(let errno):
            "/dev/fuse cannot be opened: \(errno); \(Self.containerAdvice)"
        case .noAdminCapability:
            "root lacks the capability CAP_SYS_ADMIN, so it cannot mount; \(Self.containerAdvice)"
        case .allowOtherNotAllowed:
            """
            --allow-other is for root unless /etc/fuse.conf has a line user_allow_other; \
            add it, or mount as root
            """
        case .noHelper:
            "fusermount3 is not in PATH, and only root mounts without it; install the package fuse3"
        case .notMounted(let path):
            "\(path) is not a mountpoint"
        case .foreign(let path, let type):
            "\(path) is a mount of type \(type), not of pail; use umount"
        case .busy(let path):
            """
            \(path) is in use; see by whom: fuser -vm \(Self.quoted(path)), \
            or detach it at once: pail unmount --lazy \(Self.quoted(path))
            """
        case .notPermitted(let path):
            "\(path) was mounted by another user; unmount it as that user or as root"
        case .failed(let path, let errno, let words):
            "cannot unmount \(path): \(words.isEmpty ? errno.description : words)"
        }
    }

    /// As a shell takes it.
    private static func quoted(_ path: String) -> String {
        let plain = path.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "-"), 0x80...:
                true
            default: false
            }
        }
        if plain { return path }
        return "'"
            + path.split(separator: "'", omittingEmptySubsequences: false)
            .joined(separator: "'\\''") + "'"
    }
}
