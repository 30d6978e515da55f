// How a request that changes the bucket travels: half its round trip, then its body piece by piece,
// then the change at one moment, then the other half of the round trip.
//
// A body must not change until the call has answered: it is read again then and compared.

import S3

/// What a change needs to know when it is made.
struct ChangeMoment: Sendable {
    var operation: StoreOperation
    var now: Duration
    /// Nanoseconds since 1970, whole seconds.
    var modified: Int64
    var body: [UInt8]
}

extension SimulatedStore {
    /// One change under way.
    final class Change<Value: Sendable>: Sendable {
        let operation: StoreOperation
        let key: ObjectKey
        let body: (any UploadBody)?
        let call: SimulatedCall
        let trip: Trip
        /// Runs under the store's lock.
        let apply: @Sendable (inout State, ChangeMoment) throws(Refusal) -> Value
        let completion: @Sendable (Result<Value, StoreError>) -> Void

        init(
            _ operation: StoreOperation, _ key: ObjectKey, body: (any UploadBody)?,
            call: SimulatedCall, trip: Trip,
            completion: @escaping @Sendable (Result<Value, StoreError>) -> Void,
            apply: @escaping @Sendable (inout State, ChangeMoment) throws(Refusal) -> Value
        ) {
            self.operation = operation
            self.key = key
            self.body = body
            self.call = call
            self.trip = trip
            self.apply = apply
            self.completion = completion
        }

        /// So many bytes are read before the request fails; nil when it does not fail before its end.
        var bytesBeforeError: Int64? {
            guard trip.error != nil, !trip.isLostAnswer else { return nil }
            return min(trip.bytesBefore ?? 0, body?.size ?? 0)
        }
    }

    /// Sends a request that changes something (or ListParts).
    func change<Value: Sendable>(
        _ operation: StoreOperation, _ key: ObjectKey, body: (any UploadBody)? = nil,
        completion: @escaping @Sendable (Result<Value, StoreError>) -> Void,
        apply: @escaping @Sendable (inout State, ChangeMoment) throws(Refusal) -> Value
    ) -> any Cancellable {
        let call = SimulatedCall(scheduler: scheduler)
        var trip = begin(operation, key)
        if let body, trip.error != nil, trip.bytesBefore == nil {
            // A fault of the plan comes at any point of the body.
            trip.bytesBefore = state.withLock {
                $0.generator.chance(0.5) ? 0 : Int64.random(in: 0...body.size, using: &$0.generator)
            }
        }
        let change = Change(
            operation, key, body: body, call: call, trip: trip, completion: completion,
            apply: apply)
        call.next(after: trip.delay / 2) { isCancelled in
            if isCancelled { return self.end(change, .failure(.simulated(.cancelled, operation))) }
            self.receive(change, [], mayRestart: true)
        }
        return call
    }

    // MARK: The body

    /// Reads what is left of a body, one piece a step, then makes the change.
    private func receive<Value>(_ change: Change<Value>, _ bytes: [UInt8], mayRestart: Bool) {
        let size = change.bytesBeforeError ?? change.body?.size ?? 0
        let left = size - Int64(bytes.count)
        guard left > 0, let body = change.body else { return arrive(change, bytes) }
        let (delay, length, restarts) = state.withLock { state in
            let length = Int(
                min(left, Int64(Int.random(in: state.faults.pieceSize, using: &state.generator))))
            var delay = state.generator.duration(in: state.faults.pieceDelay)
            if let bandwidth = state.bandwidth {
                delay += .nanoseconds(Int64(length) * 1_000_000_000 / Int64(bandwidth))
            }
            let restarts = mayRestart && state.generator.chance(state.faults.restartBody)
            return (delay, length, restarts)
        }
        change.call.next(after: delay) { isCancelled in
            if isCancelled {
                return self.end(change, .failure(.simulated(.cancelled, change.operation)))
            }
            guard let piece = body.piece(at: Int64(bytes.count), count: length) else {
                return self.end(change, .failure(.simulated(.bodyUnreadable, change.operation)))
            }
            self.state.withLock { state in
                let index = change.trip.id - state.logStart
                if index >= 0 { state.log[index].bytes += Int64(length) }
            }
            self.receive(change, restarts ? [] : bytes + piece, mayRestart: mayRestart && !restarts)
        }
    }

    /// Reads a body again, and says so when it is not what was sent.
    private func compare<Value>(_ change: Change<Value>, _ sent: [UInt8]) {
        guard let body = change.body, state.withLock({ $0.checksBodies }) else { return }
        if body.size == sent.count {
            // One that cannot be read any more tells nothing.
            guard let again = body.piece(at: 0, count: sent.count), again != sent else { return }
        }
        violated("body changed during the call: \(change.operation.rawValue) \(change.key)")
    }

    // MARK: The change

    private func arrive<Value>(_ change: Change<Value>, _ bytes: [UInt8]) {
        if change.bytesBeforeError == nil { perhapsInterfere(change.key, change.operation) }
        let (now, modified) = clock
        let moment = ChangeMoment(
            operation: change.operation, now: now, modified: modified, body: bytes)
        let result: Result<Value, StoreError> = state.withLock { state in
            if change.bytesBeforeError != nil, let error = change.trip.error {
                return .failure(.simulated(error, change.operation))
            }
            do throws(Refusal) {
                try Self.checkPermission(change.operation, in: state)
                let value = try change.apply(&state, moment)
                let index = change.trip.id - state.logStart
                if index >= 0 { state.log[index].tookEffect = true }
                return .success(value)
            } catch {
                return .failure(.simulated(error.kind, change.operation, code: error.code))
            }
        }
        change.call.next(after: change.trip.delay / 2) { isCancelled in
            if change.bytesBeforeError == nil { self.compare(change, bytes) }
            if isCancelled {
                self.end(change, .failure(.simulated(.cancelled, change.operation)))
            } else if change.trip.isLostAnswer, let error = change.trip.error {
                self.end(change, .failure(.simulated(error, change.operation)))
            } else {
                self.end(change, result)
            }
        }
    }

    private func end<Value>(_ change: Change<Value>, _ result: Result<Value, StoreError>) {
        record(change.trip.id, result.failureKind)
        change.completion(result)
    }

    private static func checkPermission(
        _ operation: StoreOperation, in state: State
    ) throws(Refusal) {
        let isAllowed =
            switch operation {
            case .delete, .deleteMany: state.server.mayDelete
            case .list, .head, .get, .listParts: true
            default: state.server.mayWrite
            }
        if !isAllowed { throw Refusal(.accessDenied) }
    }

    /// Another client puts or deletes the key right before a write of it, with the plan's probability.
    private func perhapsInterfere(_ key: ObjectKey, _ operation: StoreOperation) {
        guard [.put, .copy, .completeUpload].contains(operation) else { return }
        let bytes: [UInt8]?? = state.withLock { state in
            guard state.generator.chance(state.faults.changeBeforeWrite) else { return nil }
            if state.bucket[key] != nil, state.generator.chance(0.3) { return .some(nil) }
            let size = Int.random(in: 0...10_000, using: &state.generator)
            return .some(state.generator.bytes(size))
        }
        guard let bytes else { return }
        if let bytes { put(key, bytes) } else { delete(key) }
    }

    // MARK: Rules that callers keep

    /// What callers did that they must not: see `UploadBody`.
    public var violations: [String] { state.withLock { $0.violations } }

    /// True compares bodies at the end of each call with what was sent.
    public var checksBodies: Bool {
        get { state.withLock { $0.checksBodies } }
        set { state.withLock { $0.checksBodies = newValue } }
    }

    func violated(_ text: String) { state.withLock { $0.violations.append(text) } }
}

extension UploadBody {
    /// Some of the bytes; nil when they cannot be had.
    func piece(at offset: Int64, count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0xDD, count: count)
        let isRead = bytes.withUnsafeMutableBytes { read(at: offset, into: $0) }
        return isRead ? bytes : nil
    }
}
