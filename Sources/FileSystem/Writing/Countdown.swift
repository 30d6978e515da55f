// Tells when several works that run beside each other are all over.

import Synchronization

/// A count of works; it begins with one, for whoever starts the others.
final class Countdown: Sendable {
    private let count = Atomic<Int>(1)
    private let then: @Sendable () -> Void

    init(then: @escaping @Sendable () -> Void) { self.then = then }

    /// One more work.
    func add() { count.add(1, ordering: .acquiringAndReleasing) }

    /// One work is over.
    func done() {
        if count.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { then() }
    }
}
