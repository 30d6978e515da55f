// The memory budget.
//
// Every byte of object data in memory lives in a buffer of this pool, and the pool never holds more
// than its limit. Fresh memory is slow on first touch, so buffers are kept and used again. Demand
// (somebody waits for the bytes) may use the whole limit and queues when it is reached; guesses
// (prefetch) stop earlier, so that a guess never makes demand wait for long.
//
// Locks: one mutex, a leaf; no callback runs under it.

internal import DequeModule
internal import Glibc
internal import Synchronization

/// A pool of page-aligned buffers in two sizes with one hard limit in bytes.
public final class BufferPool: Sendable {
    /// Bytes of a large buffer: one block.
    public static let largeSize = 1 << 20
    /// Bytes of a small buffer.
    public static let smallSize = 1 << 17
    /// The least limit the pool works with, in bytes.
    public static let leastLimit = 16 << 20

    /// Bytes that may be in use at once, buffers in use and kept for reuse together.
    public let limit: Int
    /// Bytes in use beyond which `tryTake` says no.
    public let guessLimit: Int

    private let state: Mutex<State>

    /// Memory that only the pool and its buffers name.
    @safe private struct Memory: @unchecked Sendable {
        let pointer: UnsafeMutableRawPointer
    }

    private struct State: ~Copyable {
        var used = 0
        var kept = 0
        var largeFree: [Memory] = []
        var smallFree: [Memory] = []
        var waiters: Deque<Waiter> = []
    }

    private struct Waiter {
        var size: Int
        var then: @Sendable (Buffer) -> Void
    }

    /// - Parameter limit: bytes; raised to `leastLimit` when smaller.
    public init(limit: Int) {
        self.limit = max(limit, Self.leastLimit)
        guessLimit = self.limit / 4 * 3
        state = Mutex(State())
    }

    deinit {
        state.withLock { state in
            for memory in state.largeFree { unsafe free(memory.pointer) }
            for memory in state.smallFree { unsafe free(memory.pointer) }
        }
    }

    /// Bytes in use now.
    public var used: Int { state.withLock { $0.used } }

    /// True while somebody waits for a buffer.
    public var hasWaiters: Bool { state.withLock { !$0.waiters.isEmpty } }

    /// The size of buffer that `bytes` fit in: small, or large.
    public static func size(fitting bytes: Int) -> Int {
        precondition(bytes <= largeSize)
        return bytes <= smallSize ? smallSize : largeSize
    }

    /// A buffer for a guess, or nil when the pool is too full for guesses or somebody waits.
    public func tryTake(fitting bytes: Int) -> Buffer? {
        takeNow(Self.size(fitting: bytes), within: guessLimit)
    }

    /// A buffer for somebody who would wait, or nil when he has to.
    public func takeAtOnce(fitting bytes: Int) -> Buffer? {
        takeNow(Self.size(fitting: bytes), within: limit)
    }

    private func takeNow(_ size: Int, within bound: Int) -> Buffer? {
        let memory: Memory? = state.withLock { state in
            guard state.waiters.isEmpty, state.used + size <= bound else { return nil }
            return Self.take(size, &state, limit: limit)
        }
        return memory.map { wrap($0, size) }
    }

    /// A buffer for somebody who waits: at once if the limit allows, else in order of asking, on the
    /// thread that gives one back, wherever that lets go of it: perhaps under locks of its own, so
    /// `then` must only hand the buffer on.
    public func take(fitting bytes: Int, then: @escaping @Sendable (Buffer) -> Void) {
        let size = Self.size(fitting: bytes)
        let memory: Memory? = state.withLock { state in
            guard state.waiters.isEmpty, state.used + size <= limit else {
                state.waiters.append(Waiter(size: size, then: then))
                return nil
            }
            return Self.take(size, &state, limit: limit)
        }
        if let memory { then(wrap(memory, size)) }
    }

    private func wrap(_ memory: Memory, _ size: Int) -> Buffer {
        unsafe Buffer(pointer: memory.pointer, capacity: size) { [self] pointer, size in
            unsafe giveBack(Memory(pointer: pointer), size)
        }
    }

    /// Counts `size` as used and finds memory for it: a kept one, else fresh after dropping kept
    /// memory of the other size that would break the limit.
    private static func take(_ size: Int, _ state: inout State, limit: Int) -> Memory {
        state.used += size
        let isLarge = size == largeSize
        if let memory = isLarge ? state.largeFree.popLast() : state.smallFree.popLast() {
            state.kept -= size
            return memory
        }
        while state.used + state.kept > limit {
            guard let other = isLarge ? state.smallFree.popLast() : state.largeFree.popLast() else {
                break
            }
            unsafe free(other.pointer)
            state.kept -= isLarge ? smallSize : largeSize
        }
        var fresh: UnsafeMutableRawPointer?
        let result = unsafe posix_memalign(&fresh, 4096, size)
        precondition(result == 0, "out of memory below the memory limit")
        return unsafe Memory(pointer: fresh!)
    }

    private func giveBack(_ memory: Memory, _ size: Int) {
        var served: [(Waiter, Memory)] = []
        state.withLock { state in
            state.used -= size
            state.kept += size
            if size == Self.largeSize {
                state.largeFree.append(memory)
            } else {
                state.smallFree.append(memory)
            }
            while let next = state.waiters.first, state.used + next.size <= limit {
                state.waiters.removeFirst()
                served.append((next, Self.take(next.size, &state, limit: limit)))
            }
        }
        for (waiter, memory) in served { waiter.then(wrap(memory, waiter.size)) }
    }
}
