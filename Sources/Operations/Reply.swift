// An answer that is owed to the kernel.
//
// A reply is parked wherever an operation waits and is answered from whichever thread brings the
// result. The first answer wins (an interrupt may answer EINTR before the result is there); a reply
// that is dropped without an answer answers EIO, so no caller ever hangs on a bug of ours.

internal import Synchronization

/// One answer, given at most once; dropped unanswered it is EIO.
public final class Reply<Value>: Sendable {
    private let deliver: @Sendable (Result<Value, Errno>) -> Void
    private let late: (@Sendable (Value) -> Void)?
    private let answered = Atomic<Bool>(false)

    /// - Parameters:
    ///   - late: called with a value that came after another answer (an interrupt), so that what
    ///     the value counted or opened can be given back. Must not block.
    ///   - deliver: called exactly once, on the answering thread. Must not block.
    public init(
        late: (@Sendable (Value) -> Void)? = nil,
        _ deliver: @escaping @Sendable (Result<Value, Errno>) -> Void
    ) {
        self.late = late
        self.deliver = deliver
    }

    deinit {
        if !answered.load(ordering: .acquiring) { deliver(.failure(.inputOutput)) }
    }

    /// Gives the answer. Returns false, and does nothing, when one was given before.
    @discardableResult
    public func answer(_ result: Result<Value, Errno>) -> Bool {
        guard !answered.exchange(true, ordering: .acquiringAndReleasing) else {
            if let late, case .success(let value) = result { late(value) }
            return false
        }
        deliver(result)
        return true
    }

    /// Answers with a value.
    @discardableResult
    public func succeed(_ value: Value) -> Bool { answer(.success(value)) }

    /// Answers with an error number.
    @discardableResult
    public func fail(_ errno: Errno) -> Bool { answer(.failure(errno)) }

    /// True once answered, also by an interrupt: the work for it may then be dropped.
    public var isAnswered: Bool { answered.load(ordering: .acquiring) }
}

extension Reply where Value == Void {
    /// Answers that it is done.
    @discardableResult
    public func succeed() -> Bool { answer(.success(())) }
}
