// HTTP over libcurl's multi interface.
//
// Requests are spread over one or more loops, each a thread with its own sockets and its own
// connections kept alive. Nothing here waits for the network; nothing is retried except what libcurl
// retries itself (a kept connection that turns out to be closed before the first byte of an answer).
//
// Locks: one mutex per loop (see CurlLoop) and one for the shutdown, both leaves.

import CCurl
import Synchronization

/// An `HTTPTransport` on sockets. `shutdown()` before the last reference goes, or it happens then.
public final class CurlTransport: HTTPTransport {
    private let loops: [CurlLoop]
    private let next = Atomic<Int>(0)

    public init(configuration: TransportConfiguration) {
        precondition(Self.isLibraryReady, "libcurl could not be initialised")
        let threads = max(1, min(configuration.threads, 16))
        let share = max(1, (configuration.maxConnections + threads - 1) / threads)
        loops = (0..<threads).map { index in
            CurlLoop(configuration: configuration, limit: share, index: index)
        }
        for loop in loops { loop.launch() }
    }

    deinit { shutdown() }

    /// curl_global_init is not thread-safe: done once, before the first handle.
    private static let isLibraryReady: Bool = curl_global_init(Int(CURL_GLOBAL_ALL)) == CURLE_OK

    @discardableResult
    public func start(_ request: HTTPRequest, receiver: any HTTPReceiver) -> any HTTPTask {
        let loop = leastLoaded()
        let transfer = CurlTransfer(request: request, receiver: receiver, loop: loop)
        loop.start(transfer)
        return transfer
    }

    /// Ends every request with `.cancelled` and waits for the threads, except for the one it is
    /// called on, if any. Later requests end with `.cancelled` as well. May be called again.
    public func shutdown() {
        for loop in loops { loop.stop() }
        for loop in loops { loop.join() }
    }

    /// Round robin among the loops with the fewest requests.
    private func leastLoaded() -> CurlLoop {
        guard loops.count > 1 else { return loops[0] }
        let first = next.wrappingAdd(1, ordering: .relaxed).newValue & Int.max
        var best = loops[first % loops.count]
        for offset in 1..<loops.count {
            let candidate = loops[(first + offset) % loops.count]
            if candidate.load < best.load { best = candidate }
        }
        return best
    }
}
