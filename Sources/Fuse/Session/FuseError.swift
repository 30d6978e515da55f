// What can go wrong before the mount answers, in words for the user.

public import Operations

/// Why a session could not be made or mounted. `description` is one line with the mend.
public enum FuseError: Error, Sendable, CustomStringConvertible {
    /// libfuse refuses an option; its own words.
    case badOptions(String)
    /// mount(2) or fusermount3 failed; libfuse's words (may be empty).
    case mountFailed(mountpoint: String, Errno, String)
    /// A call was made in the wrong state, e.g. `mount` twice.
    case misuse(String)
    /// A thread could not be started.
    case noThread(Errno)

    public var description: String {
        switch self {
        case .badOptions(let words):
            "mount option refused: \(words)"
        case .mountFailed(let mountpoint, let errno, let words):
            "cannot mount on \(mountpoint): \(words.isEmpty ? errno.description : words)"
                + (errno == .notPermitted ? "; \(MountpointError.containerAdvice)" : "")
        case .misuse(let words):
            words
        case .noThread(let errno):
            "cannot start a thread: \(errno); raise the limit of processes (ulimit -u)"
        }
    }
}
