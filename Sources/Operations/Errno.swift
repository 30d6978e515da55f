import Glibc

/// A Linux error number, as `errno(3)` lists them; the answer of a failed file operation.
public struct Errno: Error, Hashable, Sendable, RawRepresentable {
    /// The positive error number, e.g. 2 for ENOENT.
    public let rawValue: Int32

    /// An error number from its positive value.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    public static let notPermitted = Errno(rawValue: EPERM)
    public static let noEntry = Errno(rawValue: ENOENT)
    public static let interrupted = Errno(rawValue: EINTR)
    public static let inputOutput = Errno(rawValue: EIO)
    public static let badHandle = Errno(rawValue: EBADF)
    public static let tryAgain = Errno(rawValue: EAGAIN)
    public static let accessDenied = Errno(rawValue: EACCES)
    public static let exists = Errno(rawValue: EEXIST)
    public static let notDirectory = Errno(rawValue: ENOTDIR)
    public static let isDirectory = Errno(rawValue: EISDIR)
    public static let invalid = Errno(rawValue: EINVAL)
    public static let noSpace = Errno(rawValue: ENOSPC)
    public static let readOnly = Errno(rawValue: EROFS)
    public static let range = Errno(rawValue: ERANGE)
    public static let nameTooLong = Errno(rawValue: ENAMETOOLONG)
    public static let notImplemented = Errno(rawValue: ENOSYS)
    public static let noData = Errno(rawValue: ENODATA)
    public static let stale = Errno(rawValue: ESTALE)
    public static let timedOut = Errno(rawValue: ETIMEDOUT)
    public static let notEmpty = Errno(rawValue: ENOTEMPTY)
    public static let crossDevice = Errno(rawValue: EXDEV)
    public static let fileTooLarge = Errno(rawValue: EFBIG)
    public static let quotaExceeded = Errno(rawValue: EDQUOT)
    public static let busy = Errno(rawValue: EBUSY)
    public static let noDeviceOrAddress = Errno(rawValue: ENXIO)
    public static let tooManySymbolicLinks = Errno(rawValue: ELOOP)
    public static let tooManyLinks = Errno(rawValue: EMLINK)
    public static let notSupported = Errno(rawValue: EOPNOTSUPP)
}

extension Errno: CustomStringConvertible {
    /// The C library's words for it, e.g. "No such file or directory".
    public var description: String { unsafe String(cString: strerror(rawValue)) }
}
