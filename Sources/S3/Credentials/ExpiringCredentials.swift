// Keeps credentials until they expire; asks for new ones once, however many calls want them.
//
// Locks: `state`, a leaf; the provider and the waiting calls run outside it.

internal import Scheduling
internal import Synchronization

/// The credentials that requests are signed with now.
final class ExpiringCredentials: Sendable {
    typealias Completion = @Sendable (Result<Credentials, CredentialsError>) -> Void

    /// New ones are fetched in the background so long before the old ones expire.
    static let early = Duration.seconds(300)
    /// Old ones are not used any more so long before they expire.
    static let least = Duration.seconds(10)

    let provider: any CredentialsProvider
    private let scheduler: any Scheduler
    private let state = Mutex(State())

    private struct State {
        var kept: Credentials?
        var isFetching = false
        var waiting: [Completion] = []
    }

    init(_ provider: any CredentialsProvider, scheduler: any Scheduler) {
        self.provider = provider
        self.scheduler = scheduler
    }

    /// The kept credentials if they can be used now. Never waits.
    ///
    /// - Parameter now: since 1970-01-01T00:00:00Z.
    func current(now: Duration) -> Credentials? {
        let (kept, fetches): (Credentials?, Bool) = state.withLock { state in
            guard let kept = state.kept else { return (nil, false) }
            guard let expiration = kept.expiration else { return (kept, false) }
            let rest = expiration - now
            let fetches = rest < Self.early && !state.isFetching
            if fetches { state.isFetching = true }
            return (rest < Self.least ? nil : kept, fetches)
        }
        if fetches { fetch() }
        return kept
    }

    /// Fetches credentials (or waits for those under way). Answers on the scheduler.
    func get(_ completion: @escaping Completion) {
        let fetches = state.withLock { state in
            state.waiting.append(completion)
            defer { state.isFetching = true }
            return !state.isFetching
        }
        if fetches { fetch() }
    }

    /// Forgets `old`, which the server refused as expired, unless there are newer ones already.
    func refresh(instead old: Credentials) {
        state.withLock { state in
            if state.kept == old { state.kept = nil }
        }
    }

    private func fetch() {
        scheduler.run { [self] in
            provider.credentials { [self] result in
                // The provider may answer on any stack.
                scheduler.run { [self] in deliver(result) }
            }
        }
    }

    private func deliver(_ result: Result<Credentials, CredentialsError>) {
        let waiting = state.withLock { state in
            if case .success(let fresh) = result { state.kept = fresh }
            state.isFetching = false
            defer { state.waiting = [] }
            return state.waiting
        }
        for completion in waiting { completion(result) }
    }
}
