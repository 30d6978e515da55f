// The curl side of a loop: what runs, what waits, which handles are free. Lives on one thread.
//
// The limit of connections is kept here, not by libcurl: a request that libcurl itself holds back
// has its connect timeout running while it waits. So no more requests are given to libcurl than
// there may be connections, and the others wait in order.

import CCurl
import DequeModule
import Synchronization

final class CurlEngine {
    private unowned let loop: CurlLoop
    private let configuration: TransportConfiguration
    private let limit: Int
    private var active: [EasyHandle.ID: CurlTransfer] = [:]
    private var waiting: Deque<CurlTransfer> = []
    /// The earliest deadline among `waiting`, or a time before it.
    private var nextDeadline: ContinuousClock.Instant?
    private var largeHandles: [EasyHandle] = []
    private var smallHandles: [EasyHandle] = []
    private let clock = ContinuousClock()

    /// Bodies from this size on get a large receive buffer.
    private static let largeBody: Int64 = 128 << 10
    /// Milliseconds to sleep at most; curl's own timers and wake-ups end the sleep earlier.
    private static let longestPoll: Int32 = 60_000

    init(loop: CurlLoop, configuration: TransportConfiguration, limit: Int) {
        self.loop = loop
        self.configuration = configuration
        self.limit = limit
        unsafe _ = pail_curl_multi_set_long(loop.multi.pointer, CURLMOPT_MAXCONNECTS, limit)
        unsafe _ = pail_curl_multi_set_long(
            loop.multi.pointer, CURLMOPT_PIPELINING, Int(CURLPIPE_NOTHING))
    }

    func handle(_ command: CurlLoop.Command) {
        switch command {
        case .start(let transfer):
            if active.count < limit && waiting.isEmpty {
                begin(transfer)
            } else {
                waiting.append(transfer)
                if let deadline = transfer.deadline {
                    nextDeadline = nextDeadline.map { min($0, deadline) } ?? deadline
                }
            }
        case .cancel(let transfer):
            if transfer.isFinished { return }
            if let handle = transfer.handle {
                end(transfer, handle: handle, .failure(.cancelled))
            } else {
                // Stays in `waiting` as a finished one, to be skipped.
                finish(transfer, .failure(.cancelled))
            }
        }
    }

    /// Moves bytes, tells receivers of ends, and begins what waits.
    func perform() {
        var running: Int32 = 0
        unsafe _ = curl_multi_perform(loop.multi.pointer, &running)
        var result = CURLE_OK
        while let easy = unsafe pail_curl_next_finished(loop.multi.pointer, &result) {
            guard let transfer = active[unsafe EasyHandle.ID(easy)], let handle = transfer.handle
            else { continue }
            end(transfer, handle: handle, transfer.outcome(of: result, now: clock.now))
        }
        expireWaiting()
        var hasBegun = false
        while active.count < limit, let transfer = waiting.popFirst() {
            if transfer.isFinished { continue }
            begin(transfer)
            hasBegun = true
        }
        // Gets the new ones onto the wire before sleeping.
        if hasBegun { unsafe _ = curl_multi_perform(loop.multi.pointer, &running) }
    }

    /// Milliseconds until something must happen that libcurl does not know of.
    var pollTimeout: Int32 {
        guard let nextDeadline else { return Self.longestPoll }
        let left = clock.now.duration(to: nextDeadline).milliseconds
        return Int32(clamping: max(0, min(left, Int(Self.longestPoll))))
    }

    func cancelAll() {
        for transfer in waiting where !transfer.isFinished {
            finish(transfer, .failure(.cancelled))
        }
        waiting.removeAll()
        for transfer in Array(active.values) {
            if let handle = transfer.handle {
                end(transfer, handle: handle, .failure(.cancelled))
            }
        }
    }

    /// Gives the handles back to libcurl, which closes the connections with the multi handle.
    func close() {
        largeHandles = []
        smallHandles = []
    }

    private func begin(_ transfer: CurlTransfer) {
        let isLarge =
            transfer.request.expectedBody >= Self.largeBody
            || (transfer.request.bodySize ?? 0) >= Self.largeBody
        let pooled = isLarge ? largeHandles.popLast() : smallHandles.popLast()
        guard let handle = pooled ?? EasyHandle(configuration: configuration, isLarge: isLarge)
        else {
            finish(
                transfer,
                .failure(HTTPTransportError(kind: .other, message: "libcurl is out of memory")))
            return
        }
        var timeout = 0
        if let deadline = transfer.deadline {
            timeout = max(1, clock.now.duration(to: deadline).milliseconds)
        }
        transfer.handle = handle
        if let error = handle.prepare(for: transfer, timeoutMilliseconds: timeout) {
            end(transfer, handle: handle, .failure(error))
            return
        }
        active[handle.id] = transfer
        let code = unsafe curl_multi_add_handle(loop.multi.pointer, handle.pointer)
        if code != CURLM_OK {
            end(
                transfer, handle: handle,
                .failure(
                    HTTPTransportError(kind: .other, message: "libcurl takes no more requests")))
        }
    }

    /// Takes the request from libcurl, keeps the handle for the next one, and tells the receiver.
    private func end(
        _ transfer: CurlTransfer, handle: EasyHandle,
        _ result: Result<HTTPStatistics, HTTPTransportError>
    ) {
        if active.removeValue(forKey: handle.id) != nil {
            unsafe _ = curl_multi_remove_handle(loop.multi.pointer, handle.pointer)
        }
        handle.release()
        transfer.handle = nil
        if handle.isLarge { largeHandles.append(handle) } else { smallHandles.append(handle) }
        finish(transfer, result)
    }

    private func finish(
        _ transfer: CurlTransfer, _ result: Result<HTTPStatistics, HTTPTransportError>
    ) {
        // Before the receiver, which may start the next request: that one counts from here.
        loop.finished()
        transfer.finish(result)
    }

    private func expireWaiting() {
        guard let due = nextDeadline, clock.now >= due else { return }
        let now = clock.now
        nextDeadline = nil
        var expired: [CurlTransfer] = []
        for transfer in waiting where !transfer.isFinished {
            guard let deadline = transfer.deadline else { continue }
            if deadline <= now {
                expired.append(transfer)
            } else {
                nextDeadline = nextDeadline.map { min($0, deadline) } ?? deadline
            }
        }
        for transfer in expired {
            let message = "timed out while waiting for one of \(limit) connections"
            finish(transfer, .failure(HTTPTransportError(kind: .timedOut, message: message)))
        }
        waiting.removeAll { $0.isFinished }
    }
}
