// One request from start to finish: what curl's callbacks for it do, and its HTTPTask.
//
// `cancel` may come from any thread, also from inside a receiver's method; everything else is the
// loop thread's. The loop keeps a transfer until it has finished.

import CCurl
import Synchronization

final class CurlTransfer: HTTPTask, @unchecked Sendable {
    /// libcurl counts whole milliseconds: its timeout may come a little before ours.
    private static let clockGrain = Duration.milliseconds(5)

    let request: HTTPRequest
    let deadline: ContinuousClock.Instant?
    private let loop: CurlLoop
    private let isCancelled = Atomic<Bool>(false)

    // The loop thread's.
    private var receiver: (any HTTPReceiver)?
    var handle: EasyHandle?
    var isFinished: Bool { receiver == nil }
    private var parser = HeadParser()
    private var failure: HTTPTransportError?
    private var sent: Int64 = 0
    private let started: ContinuousClock.Instant
    private var firstByte: ContinuousClock.Instant?

    init(request: HTTPRequest, receiver: any HTTPReceiver, loop: CurlLoop) {
        self.request = request
        self.receiver = receiver
        self.loop = loop
        started = ContinuousClock().now
        deadline = request.timeout.map { [started] in started.advanced(by: max(.zero, $0)) }
    }

    func cancel() {
        let (exchanged, _) = isCancelled.compareExchange(
            expected: false, desired: true, ordering: .relaxed)
        if exchanged { loop.cancel(self) }
    }

    /// Tells the receiver of the end, once.
    func finish(_ result: Result<HTTPStatistics, HTTPTransportError>) {
        guard let receiver = receiver.take() else {
            preconditionFailure("a request finished twice")
        }
        receiver.finish(result)
    }

    /// What libcurl's result means. Called before the handle is released.
    func outcome(
        of code: CURLcode, now: ContinuousClock.Instant
    ) -> Result<HTTPStatistics, HTTPTransportError> {
        if isCancelled.load(ordering: .relaxed) { return .failure(.cancelled) }
        if let failure { return .failure(failure) }
        guard let handle else { return .failure(.cancelled) }
        if code == CURLE_OK {
            // libcurl takes an end of the connection inside the headers for an end of the headers.
            guard parser.isComplete else {
                let message = "the connection was closed inside the response's headers"
                return .failure(HTTPTransportError(kind: .connectionLost, message: message))
            }
            return .success(
                HTTPStatistics(
                    firstByte: started.duration(to: firstByte ?? now),
                    total: started.duration(to: now),
                    newConnection: handle.newConnections > 0))
        }
        return .failure(
            HTTPTransportError(
                code: code, text: handle.errorText, systemError: handle.systemError,
                isPastDeadline: deadline.map { $0 <= now + Self.clockGrain } ?? false))
    }

    /// A header line, or the empty line that ends a head. False ends the request.
    func received(headerLine line: UnsafeRawBufferPointer) -> Bool {
        if firstByte == nil { firstByte = ContinuousClock().now }
        switch unsafe parser.consume(line) {
        case .more:
            return true
        case .head(let head):
            guard !isCancelled.load(ordering: .relaxed) else { return false }
            receiver?.receive(head: head)
            return !isCancelled.load(ordering: .relaxed)
        case .tooLarge:
            failure = HTTPTransportError(
                kind: .other,
                message: "the response's headers are larger than \(HeadParser.limit) bytes")
            return false
        case .malformed:
            failure = HTTPTransportError(
                kind: .other, message: "the response's status line makes no sense")
            return false
        }
    }

    /// Bytes of the body. False ends the request.
    func received(body: UnsafeRawBufferPointer) -> Bool {
        guard !isCancelled.load(ordering: .relaxed), let receiver else { return false }
        if unsafe receiver.receive(body: body) { return true }
        failure = failure ?? .cancelled
        return false
    }

    /// Copies the next bytes of the request's body; 0 at its end, nil to end the request.
    func send(into space: UnsafeMutableRawBufferPointer) -> Int? {
        guard !isCancelled.load(ordering: .relaxed) else { return nil }
        let count = Int(min(Int64(space.count), (request.bodySize ?? 0) - sent))
        guard count > 0 else { return 0 }
        let memory = unsafe UnsafeMutableRawBufferPointer(rebasing: space[..<count])
        if let source = request.source {
            guard unsafe source.read(at: sent, into: memory) else {
                failure = HTTPTransportError(
                    kind: .bodyUnreadable, message: "the request's body could not be read")
                return nil
            }
        } else if let body = request.body {
            let range = Int(sent)..<Int(sent) + count
            unsafe body.withUnsafeBytes { bytes in
                unsafe memory.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[range]))
            }
        }
        sent += Int64(count)
        if sent == request.bodySize { handle?.waitForAnswer(of: request) }
        return count
    }

    /// Goes back (or ahead) in the request's body, for libcurl's own retry on a fresh connection.
    func seek(to offset: Int64) -> Bool {
        guard offset >= 0, offset <= request.bodySize ?? 0 else { return false }
        sent = offset
        return true
    }
}
