// How the command line says that something is wrong: one line, and an exit status.

/// What is wrong with one value, in words that follow "...: ".
struct Complaint: Error, Hashable, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}

/// Why the command ends: one line for stderr, and the status to exit with.
struct CommandFailure: Error, Hashable, CustomStringConvertible {
    /// One line without a trailing newline, without secrets; says what is wrong and how to mend it.
    var description: String
    var status: ExitStatus

    init(_ description: String, _ status: ExitStatus) {
        self.description = description
        self.status = status
    }
}

/// Exit statuses, as `sysexits.h` names them.
enum ExitStatus: Int32, Sendable {
    case success = 0
    /// EX_USAGE: the command line is wrong.
    case usage = 64
    /// EX_NOINPUT: the bucket or a file named by an option does not exist, or the mountpoint is not an
    /// empty directory.
    case noInput = 66
    /// EX_UNAVAILABLE: the endpoint does not answer, or FUSE is not there.
    case unavailable = 69
    /// EX_SOFTWARE: a bug of pail's.
    case software = 70
    /// EX_OSERR: the system refused something it should grant.
    case system = 71
    /// EX_CANTCREAT: a file or directory cannot be created.
    case cannotCreate = 73
    /// EX_IOERR: an error while reading or writing.
    case inputOutput = 74
    /// EX_TEMPFAIL: something for now in the way; the same command may work later.
    case temporary = 75
    /// EX_NOPERM: the credentials, or the user's rights, do not suffice.
    case noPermission = 77
    /// EX_CONFIG: a configuration or credentials file is wrong.
    case configuration = 78

    /// What mount(8) expects of its helpers: 0, 1 (usage), 32 (the mount failed).
    var forMountHelper: Int32 {
        switch self {
        case .success: 0
        case .usage: 1
        default: 32
        }
    }
}
