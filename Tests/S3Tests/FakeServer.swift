// A server and a clock without sockets or waiting: time passes only when nothing else is to do.

import S3
import Scheduling
import Synchronization
import Transport

/// Virtual time; everything runs on the thread that calls `runUntil`.
final class FakeClock: Scheduler, Sendable {
    private struct State {
        var now = Duration.seconds(1000)
        var ready: [@Sendable () -> Void] = []
        var timers: [(at: Duration, order: Int, timer: Timer)] = []
        var order = 0
        var unixOrigin: Duration
    }

    final class Timer: ScheduledWork, Sendable {
        let work: Mutex<(@Sendable () -> Void)?>
        init(_ work: @escaping @Sendable () -> Void) { self.work = Mutex(work) }
        func cancel() { work.withLock { $0 = nil } }
    }

    private let state: Mutex<State>

    /// - Parameter unix: wall-clock seconds at the start.
    init(unix: Int64 = 1_700_000_000) {
        state = Mutex(State(unixOrigin: .seconds(unix) - .seconds(1000)))
    }

    var now: Duration { state.withLock { $0.now } }
    var unixTime: Duration { state.withLock { $0.now + $0.unixOrigin } }

    func run(_ work: @escaping @Sendable () -> Void) {
        state.withLock { $0.ready.append(work) }
    }

    func after(_ delay: Duration, _ work: @escaping @Sendable () -> Void) -> any ScheduledWork {
        let timer = Timer(work)
        state.withLock { state in
            state.order += 1
            state.timers.append((state.now + max(delay, .zero), state.order, timer))
        }
        return timer
    }

    /// Live timers.
    var pendingTimers: Int {
        state.withLock { $0.timers.filter { $0.timer.work.withLock { $0 != nil } }.count }
    }

    /// Plays until `isDone` or nothing is left; virtual time jumps to the next timer.
    func runUntil(_ isDone: () -> Bool) {
        while !isDone() {
            let work: (@Sendable () -> Void)? = state.withLock { state in
                if !state.ready.isEmpty { return state.ready.removeFirst() }
                state.timers.removeAll { $0.timer.work.withLock { $0 == nil } }
                guard let next = state.timers.min(by: { ($0.at, $0.order) < ($1.at, $1.order) })
                else { return nil }
                state.timers.removeAll { $0.order == next.order }
                state.now = max(state.now, next.at)
                return next.timer.work.withLock { work in
                    defer { work = nil }
                    return work
                }
            }
            guard let work else { return }
            work()
        }
    }

    func runAll() { runUntil { false } }
}

/// What the fake server answers to one request.
struct FakeAnswer: Sendable {
    var status = 200
    var headers: [(String, String)] = []
    var chunks: [[UInt8]] = []
    /// How it ends instead of well.
    var failure: HTTPTransportError.Kind?
    /// Before the head.
    var delay: Duration = .zero
    /// Before each chunk.
    var pace: Duration = .zero
    /// Never sends a head.
    var hangs = false

    static func xml(_ status: Int, _ text: String, _ headers: [(String, String)] = []) -> FakeAnswer
    {
        FakeAnswer(status: status, headers: headers, chunks: [Array(text.utf8)])
    }

    static func error(
        _ status: Int, _ code: String, _ more: String = "", headers: [(String, String)] = []
    ) -> FakeAnswer {
        .xml(
            status,
            "<?xml version=\"1.0\"?><Error><Code>\(code)</Code><Message>m</Message>\(more)"
                + "</Error>", headers)
    }

    static func failing(_ kind: HTTPTransportError.Kind) -> FakeAnswer {
        FakeAnswer(status: 0, failure: kind)
    }
}

/// Answers requests by a function of the request and its number (from 0).
final class FakeServer: HTTPTransport, Sendable {
    let clock: FakeClock
    private let answer: @Sendable (HTTPRequest, Int) -> FakeAnswer
    private let log = Mutex<[HTTPRequest]>([])
    private let reading = Mutex<(pieces: Int, pause: Duration)>((0, .zero))

    init(_ clock: FakeClock, _ answer: @escaping @Sendable (HTTPRequest, Int) -> FakeAnswer) {
        self.clock = clock
        self.answer = answer
    }

    var requests: [HTTPRequest] { log.withLock { $0 } }

    final class Task: HTTPTask, Sendable {
        private let clock: FakeClock
        private let receiver: any HTTPReceiver
        let isOver = Mutex(false)

        init(_ clock: FakeClock, _ receiver: any HTTPReceiver) {
            self.clock = clock
            self.receiver = receiver
        }

        func cancel() {
            clock.run { [self] in
                end(.failure(HTTPTransportError(kind: .cancelled, message: "cancelled")))
            }
        }

        func end(_ result: Result<HTTPStatistics, HTTPTransportError>) {
            let isFirst = isOver.withLock { over in
                defer { over = true }
                return !over
            }
            if isFirst { receiver.finish(result) }
        }

        var over: Bool { isOver.withLock { $0 } }

        func play(_ answer: FakeAnswer) {
            if answer.hangs { return }
            _ = clock.after(answer.delay) { [self] in
                guard !over else { return }
                if answer.status != 0 {
                    receiver.receive(
                        head: HTTPResponseHead(
                            status: answer.status,
                            headers: answer.headers.map { (name: $0.0, value: $0.1) }))
                }
                send(answer, 0)
            }
        }

        private func send(_ answer: FakeAnswer, _ index: Int) {
            guard !over else { return }
            guard index < answer.chunks.count else {
                if let kind = answer.failure {
                    end(.failure(HTTPTransportError(kind: kind, message: "\(kind)")))
                } else {
                    end(
                        .success(
                            HTTPStatistics(
                                firstByte: .zero, total: .zero, newConnection: false)))
                }
                return
            }
            _ = clock.after(answer.pace) { [self] in
                guard !over else { return }
                let goesOn = answer.chunks[index].withUnsafeBytes { receiver.receive(body: $0) }
                guard goesOn else {
                    return end(
                        .failure(HTTPTransportError(kind: .cancelled, message: "cancelled")))
                }
                send(answer, index + 1)
            }
        }
    }

    /// Bodies are read in so many pieces with a pause before each, and only then answered.
    func readsSlowly(pieces: Int, pause: Duration) {
        reading.withLock { $0 = (pieces, pause) }
    }

    private func read(
        _ source: any HTTPBodySource, piece: Int, then: @escaping @Sendable () -> Void
    ) {
        let (pieces, pause) = reading.withLock { $0 }
        guard piece < pieces else { return then() }
        _ = clock.after(pause) {
            let size = Int(source.size)
            let range = size * piece / pieces..<size * (piece + 1) / pieces
            var bytes = [UInt8](repeating: 0, count: range.count)
            _ = bytes.withUnsafeMutableBytes { source.read(at: Int64(range.lowerBound), into: $0) }
            self.read(source, piece: piece + 1, then: then)
        }
    }

    func start(_ request: HTTPRequest, receiver: any HTTPReceiver) -> any HTTPTask {
        let number = log.withLock { log in
            log.append(request)
            return log.count - 1
        }
        let task = Task(clock, receiver)
        if let source = request.source, reading.withLock({ $0.pieces > 0 }) {
            read(source, piece: 0) { task.play(self.answer(request, number)) }
        } else {
            task.play(answer(request, number))
        }
        return task
    }
}

extension HTTPRequest {
    func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }
}

/// Keeps what a GET gives; complains when an offset is not the next.
final class Collector: GetReceiver, Sendable {
    struct State {
        var head: ObjectHead?
        var heads = 0
        var bytes: [UInt8] = []
        var next: Int64
        var orderly = true
        var results: [Result<Void, StoreError>] = []
    }

    let state: Mutex<State>

    init(from start: Int64 = 0) { state = Mutex(State(next: start)) }

    func receive(head: ObjectHead) {
        state.withLock {
            $0.head = head
            $0.heads += 1
        }
    }

    func receive(bytes: UnsafeRawBufferPointer, at offset: Int64) {
        let copy = Array(bytes)
        state.withLock { state in
            if offset != state.next || state.heads != 1 || !state.results.isEmpty {
                state.orderly = false
            }
            state.next = offset + Int64(copy.count)
            state.bytes += copy
        }
    }

    func finish(_ result: Result<Void, StoreError>) { state.withLock { $0.results.append(result) } }

    var isDone: Bool { state.withLock { !$0.results.isEmpty } }
}

/// A client on a fake server.
struct Bench {
    let clock: FakeClock
    let server: FakeServer
    let client: S3Client
    let observer = Counter()

    init(
        source: S3Source = S3Source(
            bucket: "pail-bucket", region: "us-east-1", endpointURL: "http://fake:9000"),
        credentials: any CredentialsProvider = StaticCredentials(
            Credentials(accessKeyID: "AKID", secretAccessKey: "SECRET")),
        clock: FakeClock = FakeClock(), writing: WriteOptions = WriteOptions(),
        answer: @escaping @Sendable (HTTPRequest, Int) -> FakeAnswer
    ) throws {
        self.clock = clock
        server = FakeServer(clock, answer)
        client = try S3Client(
            configuration: S3ClientConfiguration(
                source: source, writing: writing, observer: observer),
            credentials: credentials, transport: server, scheduler: clock)
    }

    func list(_ request: ListRequest = ListRequest(prefix: [])) throws -> Result<
        ListPage, StoreError
    > {
        try wait { done in client.list(request, completion: done) }
    }

    func head(_ key: String) throws -> Result<ObjectHead, StoreError> {
        try wait { done in client.head(ObjectKey(key), completion: done) }
    }

    func get(_ request: GetRequest) -> Collector.State {
        let collector = Collector(from: request.range?.lowerBound ?? 0)
        client.get(request, receiver: collector)
        clock.runUntil { collector.isDone }
        clock.runAll()
        return collector.state.withLock { $0 }
    }

    /// Waits for the one answer; more than one, or none, throws.
    func wait<T: Sendable>(
        _ start: (@escaping @Sendable (Result<T, StoreError>) -> Void) -> any Cancellable
    ) throws -> Result<T, StoreError> {
        let answers = Answers<T>()
        _ = start { result in answers.list.withLock { $0.append(result) } }
        clock.runAll()
        let list = answers.list.withLock { $0 }
        guard list.count == 1 else { throw WrongCount(count: list.count) }
        return list[0]
    }
}

final class Answers<T: Sendable>: Sendable {
    let list = Mutex<[Result<T, StoreError>]>([])
}

struct WrongCount: Error { var count: Int }

final class Counter: RequestObserver {
    let records = Mutex<[RequestRecord]>([])
    func requestFinished(_ record: RequestRecord) { records.withLock { $0.append(record) } }
}

extension Result where Failure == StoreError {
    var kind: StoreError.Kind? {
        if case .failure(let error) = self { return error.kind }
        return nil
    }
}
