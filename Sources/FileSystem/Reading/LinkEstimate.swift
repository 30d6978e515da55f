// How long a large request takes on a quiet link: what a window must bridge.
//
// The least time seen counts, not the mean: under load requests wait for each other, and a window
// sized by that wait would feed it. The least is forgotten slowly, so that a link that has become
// slower is believed after some hundred requests.
//
// Locks: one leaf mutex.

import Synchronization

/// The time a request of the largest size takes when nothing else is under way.
final class LinkEstimate: Sendable {
    private let least = Mutex<Duration?>(nil)
    /// Requests smaller than this say little of the flow, in bytes.
    static let smallest: Int64 = 512 << 10

    /// Takes note of a finished request.
    ///
    /// - Parameters:
    ///   - wait: from sending to the first byte.
    ///   - flow: from the first byte to the last.
    func measured(bytes: Int64, wait: Duration, flow: Duration) {
        guard bytes >= Self.smallest else { return }
        let scaled = wait + flow * (Double(ReadStreams.largestRequest) / Double(bytes))
        least.withLock { least in
            least = least.map { min($0 * 1.01, scaled) } ?? scaled
        }
    }

    /// Nil until something was measured.
    var largestRequest: Duration? { least.withLock { $0 } }
}

/// How fast a reader takes what it is given.
struct ReadRate {
    private var since: Duration?
    private var bytes: Int64 = 0
    /// Bytes a second; nil until measured.
    private(set) var value: Double?
    /// A rate is taken over at least this long.
    static let interval = Duration.milliseconds(20)

    /// Takes note of a read.
    mutating func advance(_ count: Int64, now: Duration) {
        guard let since else {
            since = now
            return
        }
        bytes += count
        let passed = now - since
        guard passed >= Self.interval else { return }
        let rate = Double(bytes) / (passed / .seconds(1))
        value = value.map { ($0 + rate) / 2 } ?? rate
        self.since = now
        bytes = 0
    }
}
