// Errors whose cause can be taken away: a wrong place, a clock that is off, a token that has expired.
// Each is tried once in a call (a place twice), so that no two servers send a call round in circles.

/// What a call has tried already.
struct Remedies {
    private var followed = 0
    private var correctedClock = false
    private var refreshed = false

    enum Remedy {
        /// The cause is gone: again at once.
        case again
        /// Other credentials are needed.
        case refresh
    }

    /// Takes the cause away if it is one of those; nil when it is not, or was tried already.
    mutating func remedy(
        for kind: StoreError.Kind, _ server: ServerError, _ attempt: Attempt, _ client: S3Client
    ) -> Remedy? {
        switch kind {
        case .wrongRegion:
            followed += 1
            guard followed <= 2, client.follow(server, from: attempt.place) else { return nil }
            return .again
        case .clockSkew, .accessDenied:
            // HEAD has no body that would name the code.
            let isNamed = kind == .clockSkew
            guard isNamed || server.code == nil, let date = server.date, !correctedClock,
                client.correctClock(serverTime: date, isNamed: isNamed)
            else { return nil }
            correctedClock = true
            return .again
        case .badCredentials, .other:
            let isExpired =
                server.code.map { ErrorTable.expiredCodes.contains($0) }
                ?? (server.status == 400 && attempt.credentials.sessionToken != nil)
            guard isExpired, !refreshed else { return nil }
            refreshed = true
            return .refresh
        default: return nil
        }
    }
}
