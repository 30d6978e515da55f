// What we ask of the kernel at INIT.
//
// Why each: ASYNC_READ and PARALLEL_DIROPS let requests of one file or directory overlap.
// READDIRPLUS: attributes come free with a listing. Not its AUTO: that lists 20,000 bare names in 38
// instead of 78 ms, but a program that lists first and stats then takes 500 instead of 120 ms.
// EXPLICIT_INVAL_DATA instead of AUTO_INVAL_DATA: the file system compares ETags and invalidates
// precisely; a changed mtime alone must not cost the page cache. ATOMIC_O_TRUNC: emptying and opening
// are one request. HANDLE_KILLPRIV, and its second version where the kernel has it, spare a
// getxattr(security.capability) per write (see Handshake). No writeback cache: the kernel would own size
// and mtime. No splice: slower than memory when measured, for reading and for writing. No ASYNC_DIO: a
// process waiting in an O_DIRECT read could then not even be killed.

internal import CFuse

/// The capabilities wanted where offered.
private let wanted: UInt32 =
    UInt32(FUSE_CAP_ASYNC_READ) | UInt32(FUSE_CAP_ATOMIC_O_TRUNC)
    | UInt32(FUSE_CAP_READDIRPLUS) | UInt32(FUSE_CAP_PARALLEL_DIROPS)
    | UInt32(FUSE_CAP_HANDLE_KILLPRIV) | UInt32(FUSE_CAP_CACHE_SYMLINKS)
    | UInt32(FUSE_CAP_EXPLICIT_INVAL_DATA)

/// Fills the answer to INIT.
///
/// - Returns: flags that libfuse does not know, for Handshake.
func negotiate(_ connection: inout fuse_conn_info) -> UInt32 {
    connection.want = connection.capable & wanted
    connection.max_read = UInt32(MountOptions.transferSize)
    connection.max_write = UInt32(MountOptions.transferSize)
    // The kernel offers 128 KiB and libfuse takes the minimum; see Readahead.swift.
    connection.max_readahead = UInt32(MountOptions.transferSize)
    connection.max_background = 64
    connection.congestion_threshold = 48
    // Every kernel of that version offers it; libfuse does not pass on whether it did.
    return connection.proto_minor >= Handshake.killPrivileges2Minor
        ? Handshake.killPrivileges2 : 0
}
