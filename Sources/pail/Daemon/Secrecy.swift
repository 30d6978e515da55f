// Credentials live in this process's memory; they must not live longer than it.

import CPlatform
import Glibc

/// Keeps memory out of core dumps.
enum Secrecy {
    /// PR_SET_DUMPABLE 0: no core dump (not to a pipe handler either), and no debugger of the same
    /// user. /proc/self stays readable for this process itself.
    static func keepOutOfCoreDumps() {
        pail_set_not_dumpable()
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        unsafe setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
    }
}
