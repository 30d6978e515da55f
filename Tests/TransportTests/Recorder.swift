import Foundation
import Synchronization
import Testing

@testable import Transport

/// Keeps everything a request delivers, and checks the order of calls.
final class Recorder: HTTPReceiver {
    struct State {
        var heads: [HTTPResponseHead] = []
        var body: [UInt8] = []
        var result: Result<HTTPStatistics, HTTPTransportError>?
        var finishes = 0
        var isOrdered = true
        var waiter: CheckedContinuation<Void, Never>?
    }

    let state = Mutex(State())
    private let onHead: (@Sendable () -> Void)?
    private let onBody: (@Sendable (Int) -> Bool)?
    private let onFinish: (@Sendable () -> Void)?

    init(
        onHead: (@Sendable () -> Void)? = nil, onBody: (@Sendable (Int) -> Bool)? = nil,
        onFinish: (@Sendable () -> Void)? = nil
    ) {
        self.onHead = onHead
        self.onBody = onBody
        self.onFinish = onFinish
    }

    func receive(head: HTTPResponseHead) {
        state.withLock { state in
            state.isOrdered = state.isOrdered && state.body.isEmpty && state.finishes == 0
            state.heads.append(head)
        }
        onHead?()
    }

    func receive(body: UnsafeRawBufferPointer) -> Bool {
        let count = state.withLock { state in
            state.isOrdered = state.isOrdered && state.heads.count == 1 && state.finishes == 0
            state.body += body
            return state.body.count
        }
        return onBody?(count) ?? true
    }

    func finish(_ result: Result<HTTPStatistics, HTTPTransportError>) {
        onFinish?()
        let waiter = state.withLock { state in
            state.result = result
            state.finishes += 1
            return state.waiter.take()
        }
        waiter?.resume()
    }

    /// Waits for the end.
    func end() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if state.result == nil { state.waiter = continuation }
                return state.result != nil
            }
            if isOver { continuation.resume() }
        }
    }

    var head: HTTPResponseHead? { state.withLock { $0.heads.first } }
    var text: String { state.withLock { String(decoding: $0.body, as: UTF8.self) } }
    var count: Int { state.withLock { $0.body.count } }
    var isWellFormed: Bool {
        state.withLock { $0.isOrdered && $0.finishes == 1 && $0.heads.count <= 1 }
    }
    var error: HTTPTransportError? {
        state.withLock {
            if case .failure(let error) = $0.result { return error }
            return nil
        }
    }
    var statistics: HTTPStatistics? { state.withLock { try? $0.result?.get() } }
}

/// A transport for tests.
func makeTransport(
    _ change: (inout TransportConfiguration) -> Void = { _ in }
) -> CurlTransport {
    var configuration = TransportConfiguration(userAgent: "pail/test")
    change(&configuration)
    return CurlTransport(configuration: configuration)
}

extension CurlTransport {
    /// Performs a request and waits for its end.
    func perform(_ request: HTTPRequest, _ recorder: Recorder = Recorder()) async -> Recorder {
        start(request, receiver: recorder)
        await recorder.end()
        #expect(recorder.isWellFormed)
        return recorder
    }

    func get(_ url: String, timeout: Duration? = nil) async -> Recorder {
        await perform(HTTPRequest(method: "GET", url: url, timeout: timeout))
    }
}
