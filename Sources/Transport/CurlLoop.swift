// One thread with a curl multi handle, and the queue of commands other threads give it.
//
// Calls from other threads only append to the queue and wake the thread; they never wait for it, so
// a receiver that hangs holds up this loop and nobody's caller. All curl work is in CurlEngine,
// which lives on the thread.
//
// Locks: the queue's mutex is a leaf; no curl call except the wake-up, and no receiver, runs under
// it. The wake-up runs under it so that it never meets a multi handle that is gone.

import CCurl
import Glibc
import Synchronization

final class CurlLoop: Sendable {
    enum Command {
        case start(CurlTransfer)
        case cancel(CurlTransfer)
    }

    private struct State {
        var commands: [Command] = []
        /// True while the thread sleeps in curl_multi_poll or is about to.
        var isPolling = false
        var isStopping = false
        /// True once the thread takes no commands any more.
        var isClosed = false
        /// Set from `launch` until somebody joins.
        var thread: pthread_t?
    }

    let multi = MultiHandle()
    private let configuration: TransportConfiguration
    private let limit: Int
    private let index: Int
    private let state = Mutex(State())
    private let transfers = Atomic<Int>(0)

    /// - Parameter limit: requests under way at once; others wait in order.
    init(configuration: TransportConfiguration, limit: Int, index: Int) {
        self.configuration = configuration
        self.limit = limit
        self.index = index
    }

    /// Requests begun and not finished.
    var load: Int { transfers.load(ordering: .relaxed) }

    func launch() {
        let thread = Threads.launch(name: "pail-http-\(index)") { [self] in run() }
        state.withLock { $0.thread = thread }
    }

    func start(_ transfer: CurlTransfer) {
        transfers.wrappingAdd(1, ordering: .relaxed)
        if enqueue(.start(transfer)) { return }
        // No thread of ours is left to call from, and the caller's stack may hold the caller's locks.
        let thread = Threads.launch(name: "pail-http-end") { [self] in
            transfer.finish(.failure(.cancelled))
            finished()
        }
        pthread_detach(thread)
    }

    func cancel(_ transfer: CurlTransfer) {
        _ = enqueue(.cancel(transfer))
    }

    /// Called by the engine when a transfer has finished.
    func finished() {
        transfers.wrappingSubtract(1, ordering: .relaxed)
    }

    /// Asks the thread to end everything and return.
    func stop() {
        state.withLock { state in
            state.isStopping = true
            wake(&state)
        }
    }

    /// Waits for the thread's end, once. On the thread itself it only lets go of it.
    func join() {
        guard let thread = state.withLock({ $0.thread.take() }) else { return }
        if pthread_equal(thread, pthread_self()) != 0 {
            pthread_detach(thread)
        } else {
            pthread_join(thread, nil)
        }
    }

    private func enqueue(_ command: Command) -> Bool {
        state.withLock { state in
            guard !state.isClosed else { return false }
            state.commands.append(command)
            wake(&state)
            return true
        }
    }

    private func wake(_ state: inout State) {
        guard state.isPolling else { return }
        state.isPolling = false
        multi.wake()
    }

    private func run() {
        let engine = CurlEngine(loop: self, configuration: configuration, limit: limit)
        while true {
            let (commands, isStopping) = state.withLock { state in
                state.isPolling = false
                let commands = state.commands
                state.commands.removeAll(keepingCapacity: true)
                return (commands, state.isStopping)
            }
            for command in commands { engine.handle(command) }
            if isStopping { break }
            engine.perform()
            let mayPoll = state.withLock { state in
                state.isPolling = state.commands.isEmpty && !state.isStopping
                return state.isPolling
            }
            if mayPoll { multi.poll(milliseconds: engine.pollTimeout) }
        }
        // A receiver may start another request while it is being told of the end.
        while true {
            engine.cancelAll()
            let rest = state.withLock { state in
                defer { state.commands = [] }
                state.isClosed = state.commands.isEmpty
                return state.commands
            }
            if rest.isEmpty { break }
            for command in rest { engine.handle(command) }
        }
        engine.close()
    }
}

/// A curl multi handle. `wake` may be called on any thread, the rest on the loop's thread only.
@safe final class MultiHandle: @unchecked Sendable {
    let pointer: UnsafeMutableRawPointer

    init() {
        guard let pointer = unsafe curl_multi_init() else {
            preconditionFailure("libcurl has no memory for a multi handle")
        }
        unsafe self.pointer = unsafe pointer
    }

    deinit { unsafe _ = curl_multi_cleanup(pointer) }

    func wake() { unsafe _ = curl_multi_wakeup(pointer) }

    func poll(milliseconds: Int32) {
        unsafe _ = curl_multi_poll(pointer, nil, 0, milliseconds, nil)
    }
}
