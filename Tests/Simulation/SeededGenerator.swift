// Randomness that a seed repeats.

/// A SplitMix64 generator: one seed, one sequence, on every machine.
/// Source: https://prng.di.unimi.it/splitmix64.c
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

extension SeededGenerator {
    /// True with the given probability; draws no number when it is 0 or less, so that a plan without
    /// faults leaves the sequence alone.
    public mutating func chance(_ probability: Double) -> Bool {
        guard probability > 0 else { return false }
        return Double.random(in: 0..<1, using: &self) < probability
    }

    /// A duration in the range, in steps of a nanosecond.
    public mutating func duration(in range: ClosedRange<Duration>) -> Duration {
        let span = (range.upperBound - range.lowerBound).nanoseconds
        guard span > 0 else { return range.lowerBound }
        return range.lowerBound + .nanoseconds(Int64.random(in: 0...span, using: &self))
    }

    /// `count` bytes, for contents whose mix-ups must show: other in every call, and each page of 4 KiB
    /// begins with its own stamp. (All of it drawn would be slow: tests are not optimised.)
    public mutating func bytes(_ count: Int) -> [UInt8] {
        let pageSize = 4096
        var page: [UInt8] = []
        page.reserveCapacity(pageSize)
        while page.count < min(count, pageSize) {
            withUnsafeBytes(of: next()) { page.append(contentsOf: $0) }
        }
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            let raw = UnsafeMutableRawBufferPointer(buffer)
            for start in stride(from: 0, to: count, by: pageSize) {
                let length = min(pageSize, count - start)
                page.withUnsafeBytes {
                    raw.baseAddress!.advanced(by: start).copyMemory(
                        from: $0.baseAddress!, byteCount: length)
                }
                guard length >= 8 else { continue }
                let stamp = next()
                raw.storeBytes(of: stamp, toByteOffset: start, as: UInt64.self)
            }
            filled = count
        }
    }
}

extension Duration {
    /// Whole nanoseconds.
    public var nanoseconds: Int64 {
        components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
    }
}
