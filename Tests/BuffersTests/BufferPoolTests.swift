// The memory budget holds whatever is asked in whatever order.

import Buffers
import Foundation
import Synchronization
import Testing

private final class Taken: Sendable {
    let buffers = Mutex<[(Int, Buffer)]>([])
    func add(_ number: Int, _ buffer: Buffer) { buffers.withLock { $0.append((number, buffer)) } }
    var numbers: [Int] { buffers.withLock { $0.map(\.0) } }
    func drop(_ index: Int) {
        let buffer = buffers.withLock { $0.remove(at: index) }
        withExtendedLifetime(buffer) {}
    }
    var count: Int { buffers.withLock { $0.count } }
}

@Suite struct BufferPoolTests {
    @Test func sizesAreTwoAndPagesAligned() {
        let pool = BufferPool(limit: 16 << 20)
        #expect(BufferPool.size(fitting: 0) == BufferPool.smallSize)
        #expect(BufferPool.size(fitting: BufferPool.smallSize + 1) == BufferPool.largeSize)
        let buffer = pool.tryTake(fitting: 1)
        #expect(buffer?.capacity == BufferPool.smallSize)
        #expect(buffer.map { Int(bitPattern: $0.pointer) % 4096 } == 0)
    }

    @Test func guessesStopEarlierThanDemand() {
        let pool = BufferPool(limit: 16 << 20)
        var guesses: [Buffer] = []
        while let buffer = pool.tryTake(fitting: 1 << 20) { guesses.append(buffer) }
        #expect(guesses.count == 12)
        let taken = Taken()
        for number in 0..<6 { pool.take(fitting: 1 << 20) { taken.add(number, $0) } }
        #expect(taken.numbers == [0, 1, 2, 3])
        #expect(pool.used == 16 << 20)
        guesses.removeLast()
        #expect(taken.numbers == [0, 1, 2, 3, 4])
        #expect(pool.tryTake(fitting: 1) == nil, "somebody waits")
        guesses.removeAll()
        #expect(taken.numbers == [0, 1, 2, 3, 4, 5])
        #expect(pool.used == 6 << 20)
    }

    @Test func memoryOfOneSizeMakesRoomForTheOther() {
        let pool = BufferPool(limit: 16 << 20)
        let small = Taken()
        for number in 0..<128 { pool.take(fitting: 1) { small.add(number, $0) } }
        #expect(pool.used == 16 << 20)
        while small.count > 0 { small.drop(0) }
        let large = Taken()
        for number in 0..<16 { pool.take(fitting: 1 << 20) { large.add(number, $0) } }
        #expect(large.count == 16)
        #expect(pool.used == 16 << 20)
    }

    @Test func theLimitHoldsInAnyOrderAndNobodyIsForgotten() {
        let seed = UInt64.random(in: 0...1_000_000)
        var state = seed
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        let pool = BufferPool(limit: 16 << 20)
        let taken = Taken()
        var asked = 0
        for _ in 0..<5000 {
            let bytes = random(2) == 0 ? 1000 : 1 << 20
            if random(2) == 0 {
                let number = asked
                asked += 1
                pool.take(fitting: bytes) { taken.add(number, $0) }
            } else if random(3) == 0 {
                if let buffer = pool.tryTake(fitting: bytes) {
                    asked += 1
                    taken.add(asked - 1, buffer)
                }
            } else if taken.count > 0 {
                taken.drop(random(taken.count))
            }
            #expect(pool.used <= pool.limit, "seed \(seed)")
        }
        while taken.count > 0 { taken.drop(0) }
        #expect(pool.used == 0, "seed \(seed)")
    }

    @Test func manyThreadsShareIt() {
        let pool = BufferPool(limit: 16 << 20)
        let served = Atomic(0)
        DispatchQueue.concurrentPerform(iterations: 4) { thread in
            for round in 0..<500 {
                pool.take(fitting: (thread + round) % 2 == 0 ? 1 : 1 << 20) { buffer in
                    buffer.pointer.storeBytes(of: UInt8(thread), as: UInt8.self)
                    served.add(1, ordering: .relaxed)
                }
            }
        }
        #expect(served.load(ordering: .relaxed) == 2000)
        #expect(pool.used == 0)
    }
}
