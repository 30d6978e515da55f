// An operation under way: attempts, backoff, deadline, cancellation; answers exactly once.
//
// An attempt that runs is never abandoned: cancel and deadline cancel it and wait for the transport
// to say that it is over, so the receiver is never called from two threads.
//
// Locks: `state`, then nothing; no callback runs under it.

internal import Logging
internal import Scheduling
internal import Synchronization
internal import Transport

final class Call: Cancellable {
    let exchange: any Exchange
    private let client: S3Client
    private let operation: String
    /// Nil counts from the last new byte.
    private let deadline: Duration?
    /// True when it is the bytes that go which count.
    private let isUpload: Bool
    /// How long the whole call, or a pause between bytes, may take.
    private let limit: Duration
    private let state: Mutex<State>
    /// When a byte last came, nanoseconds of the scheduler's time.
    private let progress: Atomic<Int64>

    private enum Phase {
        /// Waits for credentials or between steps; nobody has to be told of an end.
        case idle
        case running(Attempt, (any HTTPTask)?)
        case backingOff((any ScheduledWork)?)
        case answered
    }

    private struct State {
        var phase = Phase.idle
        var attempts = 0
        /// Failures since the last new byte.
        var failures = 0
        var lastFailure = Duration.zero
        var few = 0
        /// Of an upload: time in which no byte went, over all attempts that failed.
        var idle = Duration.zero
        var remedies = Remedies()
        /// Set by cancel and deadline: how the call answers once the attempt is over.
        var end: StoreError?
        var lastError: StoreError?
        var timer: (any ScheduledWork)?
    }

    /// - Parameters:
    ///   - deadline: for the whole call; nil limits the time without a new byte.
    ///   - isUpload: without a deadline, counts bytes that go.
    init(
        _ exchange: any Exchange, client: S3Client, deadline: Duration?, isUpload: Bool = false
    ) {
        self.exchange = exchange
        self.isUpload = isUpload
        self.client = client
        operation = exchange.operation
        let now = client.scheduler.now
        limit = deadline ?? client.configuration.progressDeadline
        self.deadline = deadline.map { now + $0 }
        progress = Atomic(now.inNanoseconds)
        state = Mutex(State())
    }

    func start() {
        watchDeadline()
        attempt()
    }

    /// A new byte came.
    func progressed() {
        progress.store(client.scheduler.now.inNanoseconds, ordering: .relaxed)
    }

    /// Runs work on a thread of the scheduler.
    func elsewhere(_ work: @escaping @Sendable () -> Void) { client.scheduler.run(work) }

    func cancel() {
        end(with: StoreError(kind: .cancelled, operation: operation, message: "cancelled"))
    }

    // MARK: - Deadline

    private var ends: Duration {
        deadline
            ?? .nanoseconds(progress.load(ordering: .relaxed)) + limit
    }

    private func watchDeadline() {
        let timer = client.scheduler.after(ends - client.scheduler.now) { [weak self] in
            self?.deadlineReached()
        }
        let isOver = state.withLock { state in
            if case .answered = state.phase { return true }
            state.timer = timer
            return false
        }
        if isOver { timer.cancel() }
    }

    private func deadlineReached() {
        guard client.scheduler.now >= ends else { return watchDeadline() }
        let last = state.withLock { $0.lastError }
        end(with: timeout(last))
    }

    private func timeout(_ last: StoreError?) -> StoreError {
        let seconds = limit.components.seconds
        let what = deadline == nil ? "no new byte" : "no answer"
        var message = "\(what) within \(seconds) s"
        if let last { message += "; last: \(last.message)" }
        return StoreError(
            kind: .timedOut, operation: operation, code: last?.code, status: last?.status,
            requestID: last?.requestID, message: message)
    }

    /// Ends the call: at once when nothing runs, else when the attempt is over.
    private func end(with error: StoreError) {
        let (task, answersNow): ((any HTTPTask)?, Bool) = state.withLock { state in
            guard state.end == nil else { return (nil, false) }
            switch state.phase {
            case .answered: return (nil, false)
            case .running(_, let task):
                state.end = error
                return (task, false)
            case .idle:
                state.end = error
                state.phase = .answered
                return (nil, true)
            case .backingOff(let work):
                work?.cancel()
                state.end = error
                state.phase = .answered
                return (nil, true)
            }
        }
        task?.cancel()
        // Never on the stack of who cancels.
        if answersNow { client.scheduler.run { self.tell(.failure(error)) } }
    }

    // MARK: - Attempts

    private func attempt() {
        if let credentials = client.credentials.current(now: client.unixTime) {
            return send(credentials)
        }
        client.credentials.get { [self] result in
            switch result {
            case .success(let credentials): send(credentials)
            case .failure(let error):
                answer(
                    .failure(
                        StoreError(
                            kind: .badCredentials, operation: operation, message: error.message)))
            }
        }
    }

    private func send(_ credentials: Credentials) {
        let spec = exchange.spec()
        let (place, time) = client.signingContext()
        let number: Int? = state.withLock { state in
            guard case .idle = state.phase else { return nil }
            state.attempts += 1
            return state.attempts
        }
        guard let number else { return }
        let attempt = Attempt(
            self, number: number, spec: spec, place: place, credentials: credentials,
            started: client.scheduler.now)
        var request = client.builder.build(
            spec, at: place, credentials: credentials, time: time)
        if let source = request.source {
            progressed()
            request.source = WatchedBody(source) { [weak self] in self?.progressed() }
        }
        let isWanted = state.withLock { state in
            guard case .idle = state.phase else { return false }
            state.phase = .running(attempt, nil)
            return true
        }
        guard isWanted else { return }
        let task = client.transport.start(request, receiver: attempt)
        let isUnwanted = state.withLock { state in
            guard case .running(let running, _) = state.phase, running === attempt else {
                return false
            }
            state.phase = .running(attempt, task)
            return state.end != nil
        }
        if isUnwanted { task.cancel() }
    }

    /// The attempt is over; nil is success.
    func finished(_ attempt: Attempt, _ failure: AttemptFailure?) {
        let now = client.scheduler.now
        guard let failure else {
            observe(attempt.record(now: now, error: nil, isRetried: false))
            return answer(.success(()))
        }
        let step = nextStep(attempt, failure, now: now)
        if case .answer = step {
            observe(attempt.record(now: now, error: failure.error, isRetried: false))
        } else {
            observe(attempt.record(now: now, error: failure.error, isRetried: true))
        }
        switch step {
        case .answer(let error): answer(.failure(error))
        case .again(let delay): backOff(delay)
        case .refresh:
            client.credentials.refresh(instead: attempt.credentials)
            becomeIdle()
        }
    }

    private enum Step {
        case answer(StoreError)
        case again(Duration)
        case refresh
    }

    private func nextStep(_ attempt: Attempt, _ failure: AttemptFailure, now: Duration) -> Step {
        let ended = state.withLock { state in
            if state.end == nil { state.lastError = failure.error }
            return state.end
        }
        if let ended { return .answer(ended) }
        if let server = failure.server, let step = mend(server, failure, attempt) { return step }
        if failure.isUncertain { exchange.lost() }
        var floor = Duration.zero
        let progressed = progress.load(ordering: .relaxed)
        let (few, failures) = state.withLock { state in
            // What was sent has to be sent again: only what is received is won.
            let isNew = !isUpload && Duration.nanoseconds(progressed) > state.lastFailure
            state.failures = isNew ? 1 : state.failures + 1
            state.lastFailure = now
            if failure.next == .few { state.few += 1 }
            return (state.few, state.failures)
        }
        switch failure.next {
        case .none: return .answer(failure.error)
        case .few: if few >= AttemptFailure.fewAttempts { return .answer(failure.error) }
        case .backoff(let after): floor = after ?? .zero
        }
        guard failures < client.configuration.retry.maxAttempts else {
            return .answer(failure.error)
        }
        let delay = max(
            floor,
            client.configuration.retry.delay(
                failures: failures, fraction: Double.random(in: 0..<1)))
        // What the server asks for is later than anybody waits.
        guard isUpload ? isWorthWaiting(delay, now: now) : now + delay < ends else {
            return .answer(failure.error)
        }
        client.log.debug("\(failure.error); again in \(delay)")
        return .again(delay)
    }

    /// True while the attempts of an upload were idle for less than the limit: each of them sends
    /// bytes, which says nothing of success.
    private func isWorthWaiting(_ delay: Duration, now: Duration) -> Bool {
        let quiet = now - .nanoseconds(progress.load(ordering: .relaxed))
        return state.withLock { state in
            state.idle += quiet + delay
            return state.idle < limit
        }
    }

    /// Takes the cause of an error away where that is possible.
    private func mend(_ server: ServerError, _ failure: AttemptFailure, _ attempt: Attempt)
        -> Step?
    {
        var remedies = state.withLock { $0.remedies }
        let remedy = remedies.remedy(for: failure.error.kind, server, attempt, client)
        state.withLock { $0.remedies = remedies }
        switch remedy {
        case nil: return nil
        case .again: return .again(.zero)
        case .refresh: return .refresh
        }
    }

    private func backOff(_ delay: Duration) {
        guard delay > .zero else { return becomeIdle() }
        let ended: StoreError? = state.withLock { state in
            if let end = state.end {
                state.phase = .answered
                return end
            }
            state.phase = .backingOff(nil)
            return nil
        }
        if let ended { return tell(.failure(ended)) }
        let work = client.scheduler.after(delay) { [self] in becomeIdle() }
        let isOver = state.withLock { state in
            guard case .backingOff(nil) = state.phase else { return true }
            state.phase = .backingOff(work)
            return false
        }
        // Cancelled before it could be told of its timer (or it has run already).
        if isOver { work.cancel() }
    }

    /// The next attempt, unless the call was ended in the meantime.
    private func becomeIdle() {
        let (goes, ended): (Bool, StoreError?) = state.withLock { state in
            switch state.phase {
            case .running:
                if let end = state.end {
                    state.phase = .answered
                    return (false, end)
                }
                state.phase = .idle
                return (true, nil)
            case .backingOff:
                state.phase = .idle
                return (true, nil)
            case .idle, .answered: return (false, nil)
            }
        }
        if let ended { return tell(.failure(ended)) }
        if goes { attempt() }
    }

    // MARK: - Answer

    private func answer(_ result: Result<Void, StoreError>) {
        let isFirst = state.withLock { state in
            if case .answered = state.phase { return false }
            state.phase = .answered
            return true
        }
        if isFirst { tell(result) }
    }

    private func tell(_ result: Result<Void, StoreError>) {
        let timer = state.withLock { state in
            defer { state.timer = nil }
            return state.timer
        }
        timer?.cancel()
        exchange.finish(result)
    }

    private func observe(_ record: RequestRecord) {
        client.configuration.observer?.requestFinished(record)
    }
}
