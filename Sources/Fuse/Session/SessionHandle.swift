// Who owns libfuse's session, and what requests see of ours.
//
// A parked request may be answered long after the loop has ended. It holds the session, so that
// libfuse's memory outlives it; and the device's descriptor is not closed then but replaced by
// /dev/null, so that a late answer can never be written into another file that got its number.

internal import CFuse
internal import Glibc
internal import Logging
internal import Operations
internal import Synchronization

/// libfuse's session; destroyed with the last reference.
@safe final class SessionHandle: @unchecked Sendable {
    let raw: OpaquePointer

    init(_ raw: OpaquePointer) { unsafe self.raw = unsafe raw }

    deinit { unsafe fuse_session_destroy(raw) }

    /// Drops pages and attributes of an inode; waits for pages that are being read. Errors mean that
    /// the kernel does not know the inode, or is gone: nothing to do.
    func invalidate(inode: InodeNumber, offset: Int64, length: Int64) {
        unsafe fuse_lowlevel_notify_inval_inode(raw, inode, off_t(offset), off_t(length))
    }

    /// Drops a name; waits for the directory's lock.
    func invalidate(parent: InodeNumber, name: [UInt8]) {
        // libfuse sends the NUL behind the name, too.
        unsafe (name + [0]).withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return }
            unsafe fuse_lowlevel_notify_inval_entry(
                raw, parent, start.assumingMemoryBound(to: CChar.self), bytes.count - 1)
        }
    }

    /// Lets go of the device: the kernel aborts what still waits. Late answers go nowhere.
    func detachDevice() {
        let device = unsafe fuse_session_fd(raw)
        let null = unsafe open("/dev/null", O_RDWR | O_CLOEXEC)
        guard device >= 0, null >= 0 else { return }
        _ = pail_dup3(null, device, O_CLOEXEC)
        close(null)
    }
}

/// What all requests of a session share.
final class SessionCore: @unchecked Sendable {
    let notifier: Notifier
    let interrupts = InterruptWatch()
    let pages = PageMemory()
    /// Requests that left their callback unanswered.
    let parked = Atomic<Int>(0)
    /// Flags for the answer of INIT that is about to be written; 0 otherwise. See Handshake.
    let extraFlags = Atomic<UInt32>(0)
    /// Set before the loop starts, cleared after it ended and the notifier stopped.
    var operations: (any FileOperations)?
    /// Set once, right after libfuse made it.
    var session: SessionHandle?
    /// Called at INIT, and at the first request (INIT is then done in the kernel).
    var whenGreeted: (@Sendable () -> Void)?
    var whenServing: (@Sendable () -> Void)?
    private let isServing = Atomic<Bool>(false)

    init(logger: Logger) { notifier = Notifier(logger: logger) }

    /// The kernel has said INIT; every request from now on is served.
    ///
    /// - Parameter flags: what `Handshake` adds to the answer, which libfuse writes next.
    func greeted(_ flags: UInt32) {
        extraFlags.store(flags, ordering: .relaxed)
        whenGreeted?()
    }

    @inline(__always)
    func sawRequest() {
        if isServing.load(ordering: .relaxed) { return }
        firstRequest()
    }

    private func firstRequest() {
        guard !isServing.exchange(true, ordering: .relaxed) else { return }
        if let whenServing { notifier.run(whenServing) }
    }
}
