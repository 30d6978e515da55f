// Why a cache directory cannot be used. The caller says it once and mounts without a cache.

import Glibc

/// A cache directory that cannot be used; `description` is one line for the user, with the mend.
public struct BlockStoreError: Error, Sendable, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }

    /// `what` failed with `errno` on `path`.
    init(_ what: String, _ path: String, errno: Int32) {
        description = "cache directory \(path): \(what): \(errorText(errno))"
    }
}

/// What strerror(3) says of `errno`.
func errorText(_ errno: Int32) -> String {
    unsafe String(cString: strerror(errno))
}
