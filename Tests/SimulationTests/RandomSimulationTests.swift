import Glibc
import Simulation
import Testing

/// Thousands of histories, each from a seed. To play one again, with every operation printed:
/// `PAIL_SEED=n PAIL_TRACE=1 swift test --filter RandomSimulationTests`; `PAIL_SEEDS=count` plays more.
struct RandomSimulationTests {
    private static func number(_ name: String) -> UInt64? {
        getenv(name).flatMap { UInt64(String(cString: $0)) }
    }

    /// Seeds in slices, so that both cores have work.
    @Test(arguments: 0..<4 as Range<UInt64>) func everyHistoryAgreesWithTheModel(slice: UInt64) {
        if let seed = Self.number("PAIL_SEED") {
            if slice == 0 { Self.play(seed, isTraced: Self.number("PAIL_TRACE") != nil) }
            return
        }
        let count = Self.number("PAIL_SEEDS") ?? 1000
        var judged: [String: Int] = [:]
        var failures = 0
        for seed in stride(from: slice, to: count, by: 4) where failures < 3 {
            let simulation = Self.play(seed)
            if !simulation.problems.isEmpty { failures += 1 }
            judged.merge(simulation.judged, uniquingKeysWith: +)
        }
        if Self.number("PAIL_STATISTICS") != nil { print(judged.sorted { $0.key < $1.key }) }
    }

    /// Seeds that found something once.
    @Test(
        arguments: [
            // Little room for listings: directories listed ahead were dropped and listed again for ever.
            17, 37, 60,
            // An interrupted open counted as one that the kernel knew of: it kept pages of another version.
            150, 464, 537,
        ] as [UInt64]) func formerFindingStaysMended(seed: UInt64)
    {
        Self.play(seed)
    }

    @discardableResult
    static func play(_ seed: UInt64, isTraced: Bool = false) -> RandomSimulation {
        let simulation = RandomSimulation(seed: seed, isTraced: isTraced)
        simulation.run()
        if !simulation.problems.isEmpty {
            let problems = simulation.problems.prefix(3).joined(separator: "\n  ")
            Issue.record(
                """
                seed \(seed): \(problems)
                  PAIL_SEED=\(seed) PAIL_TRACE=1 swift test --filter RandomSimulationTests
                """)
        }
        return simulation
    }
}
