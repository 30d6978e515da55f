// Pooled memory. See BufferPool.

/// A piece of pooled memory, page-aligned; given back to its pool when the last reference goes.
///
/// Who may write where is agreed by its users: bytes are written once, by one thread, before any
/// other thread is told of them.
@safe public final class Buffer: @unchecked Sendable {
    /// The first byte. Never read uninitialised: the pool prefaults, it does not clear.
    public let pointer: UnsafeMutableRawPointer
    /// Bytes.
    public let capacity: Int
    private let giveBack: @Sendable (UnsafeMutableRawPointer, Int) -> Void

    /// - Parameter giveBack: called once with the memory when the buffer is no longer used.
    public init(
        pointer: UnsafeMutableRawPointer, capacity: Int,
        giveBack: @escaping @Sendable (UnsafeMutableRawPointer, Int) -> Void
    ) {
        unsafe self.pointer = unsafe pointer
        self.capacity = capacity
        unsafe self.giveBack = unsafe giveBack
    }

    deinit { unsafe giveBack(pointer, capacity) }
}
