import Simulation
import Synchronization
import Testing

struct SimulatedSchedulerTests {
    @Test func nothingRunsOnTheCallersStack() {
        let scheduler = SimulatedScheduler(seed: 1)
        let ran = Log()
        scheduler.run { ran.add("run") }
        scheduler.after(.zero) { ran.add("after") }
        #expect(ran.lines.isEmpty)
        #expect(scheduler.runUntilIdle())
        #expect(ran.lines.sorted() == ["after", "run"])
    }

    @Test func timeMovesOnlyWhenNothingIsReady() {
        let scheduler = SimulatedScheduler(seed: 2)
        let ran = Log()
        scheduler.after(.seconds(2)) { ran.add("2 at \(scheduler.now.nanoseconds)") }
        scheduler.after(.seconds(1)) {
            ran.add("1 at \(scheduler.now.nanoseconds)")
            scheduler.run { ran.add("ready") }
        }
        scheduler.runUntilIdle()
        #expect(ran.lines == ["1 at 1000000000", "ready", "2 at 2000000000"])
    }

    @Test func advanceRunsWhatIsDueAndStopsThere() {
        let scheduler = SimulatedScheduler(seed: 3)
        let ran = Log()
        scheduler.after(.milliseconds(10)) { ran.add("10") }
        scheduler.after(.milliseconds(30)) { ran.add("30") }
        scheduler.advance(by: .milliseconds(20))
        #expect(ran.lines == ["10"])
        #expect(scheduler.now == .milliseconds(20))
        scheduler.advance(by: .milliseconds(10))
        #expect(ran.lines == ["10", "30"])
    }

    @Test func cancelledWorkNeverRuns() {
        let scheduler = SimulatedScheduler(seed: 4)
        let ran = Log()
        let timer = scheduler.after(.seconds(1)) { ran.add("timer") }
        let ready = scheduler.after(.zero) { ran.add("ready") }
        timer.cancel()
        ready.cancel()
        ready.cancel()
        scheduler.runUntilIdle()
        #expect(ran.lines.isEmpty)
        #expect(scheduler.now == .zero)
    }

    @Test func oneSeedIsOneOrderAndAnotherIsAnother() {
        func order(_ seed: UInt64) -> [String] {
            let scheduler = SimulatedScheduler(seed: seed)
            let ran = Log()
            for index in 0..<20 { scheduler.run { ran.add("\(index)") } }
            scheduler.runUntilIdle()
            return ran.lines
        }
        #expect(order(5) == order(5))
        #expect(order(5) != order(6))
        #expect(order(5).count == 20)
    }

    @Test func workThatRenewsItselfIsGivenUp() {
        let scheduler = SimulatedScheduler(seed: 7)
        @Sendable func again() { scheduler.after(.seconds(1), again) }
        again()
        #expect(!scheduler.runUntilIdle(maxSteps: 100))
    }
}

/// Lines written by works.
final class Log: Sendable {
    private let state = Mutex<[String]>([])
    var lines: [String] { state.withLock { $0 } }
    func add(_ line: String) { state.withLock { $0.append(line) } }
}
