// One request of the kernel, from its callback to its answer.
//
// libfuse frees a request when it is answered, also while another thread is about to touch it. So:
// - Whoever answers first wins (`Reply` and `DirectoryPage` see to that); `deliver` runs once.
// - A request answered within its callback pays for nothing else. One that is parked registers for
//   interrupts, and while it registers (state `registering`) nobody may answer: an answer that
//   comes then is kept and sent by the registering thread.
// - An interrupt (the waiting thread got a signal) holds the request's lock, so it never answers: it
//   marks the request for `InterruptWatch`, whose thread answers EINTR if the waiting one is dying.
// - Before a parked request is answered its interrupt function is taken away, which waits for one
//   that runs. Afterwards nobody has the raw pointer; a marked request lives on as an object only.
//
// Never answers under a lock of ours. Lock order: libfuse's request lock, then libfuse's session lock
// or the watch's.

internal import CFuse
internal import Glibc
internal import Operations
internal import Synchronization

/// A request that is owed an answer. Use `deliver`; the raw pointer is dead afterwards.
@safe final class Request: @unchecked Sendable {
    /// Holds libfuse's session alive until the last answer.
    let core: SessionCore
    /// Bytes asked for, where the operation has a size.
    let size: Int
    /// What is opened, where something is.
    let inode: InodeNumber
    let raw: fuse_req_t

    private static let open: UInt8 = 0
    private static let registering: UInt8 = 1
    private static let deferred: UInt8 = 2
    private static let parked: UInt8 = 3
    private static let answered: UInt8 = 4

    private let state = Atomic<UInt8>(Request.open)
    /// Answers EINTR. Written before `registering` ends, on the callback's thread.
    private var interrupt: (@Sendable () -> Void)?
    /// The answer that came while registering. Written by the one thread that delivers, before it
    /// says `deferred`.
    private var deferredAnswer: (@Sendable () -> Void)?

    init(_ raw: fuse_req_t, _ core: SessionCore, size: Int = 0, inode: InodeNumber = 0) {
        unsafe self.raw = unsafe raw
        self.core = core
        self.size = size
        self.inode = inode
        core.sawRequest()
    }

    /// Sends the one answer.
    ///
    /// - Parameter write: calls one fuse_reply function with `raw`; captures nothing, so that an
    ///   answer allocates nothing.
    func deliver<Value: Sendable>(
        _ result: Result<Value, Errno>,
        _ write: @escaping @Sendable (Request, Result<Value, Errno>) -> Void
    ) {
        if exchange(Self.open, Self.answered) {
            write(self, result)
            return
        }
        if state.load(ordering: .acquiring) == Self.registering {
            deferredAnswer = { [self] in write(self, result) }
            if exchange(Self.registering, Self.deferred) { return }
            deferredAnswer = nil
        }
        // Parked: only this thread delivers, so the state stays.
        state.store(Self.answered, ordering: .releasing)
        unsafe fuse_req_interrupt_func(raw, nil, nil)
        write(self, result)
        core.parked.subtract(1, ordering: .relaxed)
        unsafe Unmanaged.passUnretained(self).release()
    }

    /// Called at the end of the callback when the answer is not there yet: lets a signal that ends
    /// the waiting thread answer EINTR.
    ///
    /// - Parameter interrupt: answers EINTR if nothing was answered; holds the reply weakly.
    func park(_ interrupt: @escaping @Sendable () -> Void) {
        guard exchange(Self.open, Self.registering) else { return }
        self.interrupt = interrupt
        core.parked.add(1, ordering: .relaxed)
        let data = unsafe Unmanaged.passRetained(self).toOpaque()
        unsafe fuse_req_interrupt_func(
            raw,
            { raw, data in
                guard let data = unsafe data else { return }
                let request = unsafe Unmanaged<Request>.fromOpaque(data).takeUnretainedValue()
                let thread = unsafe fuse_req_ctx(raw).pointee.pid
                request.core.interrupts.mark(request, thread: thread)
            }, data)
        if exchange(Self.registering, Self.parked) { return }
        // An answer came meanwhile.
        unsafe fuse_req_interrupt_func(raw, nil, nil)
        core.parked.subtract(1, ordering: .relaxed)
        let answer = deferredAnswer
        deferredAnswer = nil
        state.store(Self.answered, ordering: .releasing)
        answer?()
        unsafe Unmanaged.passUnretained(self).release()
    }

    /// True when the answer was sent, or is about to be.
    var isAnswered: Bool { state.load(ordering: .acquiring) == Self.answered }

    /// Answers EINTR unless an answer came first. On the watch's thread.
    func endWait() { interrupt?() }

    private func exchange(_ from: UInt8, _ to: UInt8) -> Bool {
        state.compareExchange(
            expected: from, desired: to, ordering: .acquiringAndReleasing
        ).exchanged
    }
}

extension Request {
    /// Parks the request if its reply is still owed.
    @inline(__always)
    func settle<Value>(_ reply: Reply<Value>) {
        if reply.isAnswered { return }
        park { [weak reply] in reply?.fail(.interrupted) }
    }
}
