// What libfuse 3.14 cannot say in its answer to INIT, put into it on its way to the kernel.
//
// FUSE_HANDLE_KILLPRIV_V2: without it the kernel asks for security.capability before every single
// write(2), to learn whether there are privileges to take away. The older FUSE_HANDLE_KILLPRIV that
// libfuse knows spares the chmod and not the question. With either, taking set-user-ID and set-group-ID
// away when a file is written, truncated or given to somebody else is the file system's own duty.
//
// libfuse reads and writes its device through these two functions; all they cost is one look at a flag.
// INIT is answered once, before any other request, on the thread that was asked. No locks.

internal import CFuse
internal import Glibc
internal import Synchronization

/// The flags of INIT that libfuse has no word for.
enum Handshake {
    /// FUSE_HANDLE_KILLPRIV and its second version, as linux/fuse.h has them.
    static let killPrivileges: UInt32 = 1 << 19
    static let killPrivileges2: UInt32 = 1 << 28
    /// The minor version of the protocol that brought the second version.
    static let killPrivileges2Minor: UInt32 = 33

    /// Where `struct fuse_init_out` has its flags, in bytes.
    private static let flagsOffset = 12

    /// Makes libfuse use the functions below. After fuse_session_mount, before the loop.
    ///
    /// - Returns: false when there is no memory for it; all works without, only dearer.
    @discardableResult
    static func install(_ session: SessionHandle) -> Bool {
        var functions = fuse_custom_io()
        unsafe functions.read = { device, memory, size, _ in
            unsafe read(device, memory, size)
        }
        unsafe functions.writev = { device, vectors, count, userdata in
            guard let vectors = unsafe vectors else { return -1 }
            if let userdata = unsafe userdata, count == 2 {
                unsafe Unmanaged<SessionCore>.fromOpaque(userdata)._withUnsafeGuaranteedRef {
                    core in
                    if core.extraFlags.load(ordering: .relaxed) != 0 {
                        unsafe Handshake.amend(vectors[1], with: core)
                    }
                }
            }
            return unsafe writev(device, vectors, count)
        }
        return unsafe fuse_session_custom_io(
            session.raw, &functions, fuse_session_fd(session.raw)) == 0
    }

    /// Adds the flags to the answer of INIT.
    private static func amend(_ answer: iovec, with core: SessionCore) {
        guard let memory = unsafe answer.iov_base, unsafe answer.iov_len >= flagsOffset + 4 else {
            return
        }
        let extra = core.extraFlags.exchange(0, ordering: .relaxed)
        let place = unsafe memory.advanced(by: flagsOffset)
        let flags = unsafe place.loadUnaligned(as: UInt32.self)
        unsafe place.storeBytes(of: flags & ~killPrivileges | extra, as: UInt32.self)
    }
}
