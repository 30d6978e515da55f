import Synchronization
import Testing

@testable import FileSystem

@Suite struct DemandGateTests {
    @Test func admitsInOrderAndNeverBeyondTheLimit() {
        for seed in UInt64(1)...200 {
            var random = TestRandom(seed: seed)
            let gate = DemandGate(limit: 10)
            let log = Mutex<(entered: [Int], used: Int)>(([], 0))
            var inside: [Int: Int] = [:]
            for step in 0..<100 {
                if random.next(below: 2) == 0 {
                    let need = 1 + random.next(below: 12)
                    inside[step] = min(need, 10)
                    gate.enter(need: need) {
                        log.withLock {
                            $0.entered.append(step)
                            $0.used += min(need, 10)
                            #expect($0.used <= 10, "seed \(seed)")
                        }
                    }
                } else if let first = log.withLock({ $0.entered.first { inside[$0] != nil } }) {
                    let need = inside.removeValue(forKey: first)!
                    log.withLock { $0.used -= need }
                    gate.leave(need: need)
                }
            }
            let entered = log.withLock { $0.entered }
            #expect(entered == entered.sorted(), "seed \(seed)")
        }
    }
}
