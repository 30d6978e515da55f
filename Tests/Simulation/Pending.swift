// What a test holds of an operation under way: its reply, and the answer once it is there.
//
// The reply is kept alive until it is answered. A file system that drops a reply would have it
// answered EIO by its `deinit`; kept here, it shows as never answered, which is what it is.
//
// Locks: one mutex, a leaf.

public import Operations
import Synchronization

/// An operation that was begun.
public class PendingOperation: @unchecked Sendable {
    /// What was asked, for messages.
    public let description: String
    init(_ description: String) { self.description = description }
    /// True once the answer is there.
    public var isAnswered: Bool { fatalError("abstract") }
    /// Answers EINTR, as the kernel's side does for an interrupted caller; false when too late.
    @discardableResult
    public func interrupt() -> Bool { fatalError("abstract") }
}

/// An operation and its answer.
public final class Pending<Value: Sendable>: PendingOperation, @unchecked Sendable {
    private let state = Mutex(State())

    private struct State {
        /// The reply, and how to interrupt it, until it is answered.
        var reply: AnyObject?
        var interrupt: (@Sendable () -> Bool)?
        var result: Result<Value, Errno>?
        var then: (@Sendable (Result<Value, Errno>) -> Void)?
    }

    /// - Parameter then: called with the answer, on the answering stack.
    init(
        _ description: String, then: @escaping @Sendable (Result<Value, Errno>) -> Void = { _ in }
    ) {
        super.init(description)
        state.withLock { $0.then = then }
    }

    /// The reply to hand to the file system, once.
    ///
    /// - Parameter convert: what is kept of the answer, which itself is let go (a read's buffers).
    func reply<Answer>(_ convert: @escaping @Sendable (Answer) -> Value) -> Reply<Answer> {
        let reply = Reply<Answer> { [weak self] result in self?.take(result.map(convert)) }
        state.withLock { state in
            state.reply = reply
            state.interrupt = { [weak reply] in reply?.fail(.interrupted) ?? false }
        }
        return reply
    }

    /// Takes the answer.
    func take(_ result: Result<Value, Errno>) {
        let (then, reply) = state.withLock { state in
            precondition(state.result == nil, "answered twice")
            state.result = result
            defer {
                state.then = nil
                state.reply = nil
                state.interrupt = nil
            }
            return (state.then, state.reply)
        }
        then?(result)
        _ = reply
    }

    /// The answer, if it is there.
    public var result: Result<Value, Errno>? { state.withLock { $0.result } }

    public override var isAnswered: Bool { result != nil }

    @discardableResult
    public override func interrupt() -> Bool { state.withLock { $0.interrupt }?() ?? false }
}

/// One name of a directory page.
public struct DirectoryName: Hashable, Sendable {
    public var name: [UInt8]
    public var attributes: FileAttributes
    /// Nil when the name came without a lookup counted.
    public var entryTimeout: Duration?
    public var attributesTimeout: Duration
    public var nextOffset: UInt64

    /// The name as text, for messages and comparisons.
    public var text: String { String(decoding: name, as: UTF8.self) }
}

/// A directory page that takes a limited number of names.
public final class PendingPage: PendingOperation, DirectoryReply, @unchecked Sendable {
    public let plus: Bool
    private let limit: Int
    private let then: @Sendable (Result<[DirectoryName], Errno>) -> Void
    private let state = Mutex(State())

    private struct State {
        var names: [DirectoryName] = []
        var result: Result<[DirectoryName], Errno>?
        var isInterrupted = false
    }

    init(
        _ description: String, limit: Int, plus: Bool,
        then: @escaping @Sendable (Result<[DirectoryName], Errno>) -> Void
    ) {
        self.limit = limit
        self.plus = plus
        self.then = then
        super.init(description)
    }

    public func add(
        name: some Collection<UInt8>, attributes: FileAttributes, entryTimeout: Duration?,
        attributesTimeout: Duration, nextOffset: UInt64
    ) -> Bool {
        state.withLock { state in
            precondition(state.result == nil, "a name after the answer")
            precondition(nextOffset != 0, "d_off must not be 0")
            guard state.names.count < limit else { return false }
            state.names.append(
                DirectoryName(
                    name: Array(name), attributes: attributes,
                    entryTimeout: plus ? entryTimeout : nil,
                    attributesTimeout: attributesTimeout, nextOffset: nextOffset))
            return true
        }
    }

    public func finish() {
        take { .success($0) }
    }

    public func fail(_ errno: Errno) {
        take { _ in .failure(errno) }
    }

    private func take(_ make: ([DirectoryName]) -> Result<[DirectoryName], Errno>) {
        let result = state.withLock { state in
            precondition(state.result == nil, "answered twice")
            let result = make(state.names)
            state.result = result
            return result
        }
        then(result)
    }

    /// The names, if they are there.
    public var result: Result<[DirectoryName], Errno>? { state.withLock { $0.result } }
    public override var isAnswered: Bool { result != nil }
    @discardableResult
    public override func interrupt() -> Bool { false }
}
