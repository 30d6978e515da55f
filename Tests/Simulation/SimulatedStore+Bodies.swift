// The bodies of a simulated bucket's GETs: pieces, breaks, and changes under way.

import Glibc
import S3

extension SimulatedStore {
    struct Body: Sendable {
        var object: StoredObject
        var range: Range<Int64>
        var call: SimulatedCall
        var trip: Trip
        /// Bytes after which the body breaks off, and how.
        var breakAt: (offset: Int64, kind: StoreError.Kind)?
        var hasBegun = false
    }

    /// Delivers what is left of a body, one piece a step.
    func send(_ body: Body, to receiver: any GetReceiver) {
        var body = body
        if !body.hasBegun {
            body.hasBegun = true
            body.breakAt = breakPoint(of: body)
        }
        let (delay, size) = state.withLock { state in
            let size = Int64(
                Int.random(in: state.faults.pieceSize, using: &state.generator))
            var delay = state.generator.duration(in: state.faults.pieceDelay)
            if let bandwidth = state.bandwidth {
                let bytes = min(size, Int64(body.range.count))
                delay += .nanoseconds(bytes * 1_000_000_000 / Int64(bandwidth))
            }
            return (delay, size)
        }
        body.call.next(after: delay) { [body] isCancelled in
            if isCancelled { return self.finish(body.trip.id, receiver, .cancelled) }
            var next = body
            var end = min(body.range.lowerBound + size, body.range.upperBound)
            if let breakAt = body.breakAt { end = min(end, breakAt.offset) }
            self.deliver(body.range.lowerBound..<end, of: body, to: receiver)
            next.range = end..<body.range.upperBound
            if let breakAt = body.breakAt, breakAt.offset == end {
                self.finish(body.trip.id, receiver, breakAt.kind)
            } else if next.range.isEmpty {
                self.finish(body.trip.id, receiver, nil)
            } else {
                self.send(next, to: receiver)
            }
        }
    }

    /// The bytes are overwritten after the call: whoever kept the pointer reads nonsense.
    private func deliver(_ range: Range<Int64>, of body: Body, to receiver: any GetReceiver) {
        guard !range.isEmpty else { return }
        var piece = Array(body.object.bytes[Int(range.lowerBound)..<Int(range.upperBound)])
        state.withLock { state in
            let index = body.trip.id - state.logStart
            if index >= 0 { state.log[index].bytes += Int64(range.count) }
        }
        piece.withUnsafeMutableBytes { bytes in
            receiver.receive(bytes: UnsafeRawBufferPointer(bytes), at: range.lowerBound)
            memset(bytes.baseAddress!, 0xDD, bytes.count)
        }
    }

    /// Decides whether and where this body breaks off, and changes the object under it if drawn.
    private func breakPoint(of body: Body) -> (offset: Int64, kind: StoreError.Kind)? {
        if let bytes = body.trip.bytesBefore, let kind = body.trip.error {
            let offset = body.range.lowerBound + bytes
            return offset < body.range.upperBound ? (offset, kind) : (body.range.upperBound, kind)
        }
        let hasChanged = perhapsChange(body.object.key, faults.changeDuringGet)
        return state.withLock { state in
            let offset =
                body.range.isEmpty
                ? body.range.lowerBound : Int64.random(in: body.range, using: &state.generator)
            if hasChanged, state.bucket[body.object.key]?.etag != body.object.etag {
                return Bool.random(using: &state.generator) ? (offset, .preconditionFailed) : nil
            }
            guard state.generator.chance(state.faults.breakBody) else { return nil }
            let kinds = state.faults.errors.map(\.kind)
            return (offset, kinds.randomElement(using: &state.generator) ?? .network)
        }
    }

    /// With the given probability, replaces or deletes an object, as another client would.
    @discardableResult
    func perhapsChange(_ key: ObjectKey, _ probability: Double) -> Bool {
        let bytes: [UInt8]?? = state.withLock { state in
            guard let old = state.bucket[key], state.generator.chance(probability) else {
                return nil
            }
            guard !state.generator.chance(0.25) else { return .some(nil) }
            let size = Int.random(in: 0...max(2 * old.bytes.count, 64), using: &state.generator)
            return .some(state.generator.bytes(size))
        }
        guard let bytes else { return false }
        if let bytes { put(key, bytes) } else { delete(key) }
        return true
    }
}
