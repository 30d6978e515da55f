// The scheduler of real mounts: works run, in parallel, in time, and stop when told.

import Foundation
import Scheduling
import Synchronization
import Testing

/// Numbers gathered from many threads.
private final class Gathered: Sendable {
    let values = Mutex<[Int]>([])
    func add(_ value: Int) { values.withLock { $0.append(value) } }
    var all: [Int] { values.withLock { $0 } }
}

@Suite struct ThreadSchedulerTests {
    @Test func everyWorkRunsOnceInOrderOnOneThread() {
        let scheduler = ThreadScheduler(threads: 1, name: "one")
        let gathered = Gathered()
        for number in 0..<5000 { scheduler.run { gathered.add(number) } }
        scheduler.shutdown()
        #expect(gathered.all == Array(0..<5000))
    }

    @Test func aWorkThatWaitsHoldsUpNobodyElse() {
        let scheduler = ThreadScheduler(threads: 2, name: "two")
        let gate = DispatchSemaphore(value: 0)
        let passed = DispatchSemaphore(value: 0)
        scheduler.run { gate.wait() }
        scheduler.run { passed.signal() }
        #expect(passed.wait(timeout: .now() + 20) == .success)
        gate.signal()
        scheduler.shutdown()
    }

    @Test func timersFireInOrderOfTheirTimeAndNotBefore() {
        let scheduler = ThreadScheduler(threads: 1, name: "timers")
        let gathered = Gathered()
        let done = DispatchSemaphore(value: 0)
        let start = scheduler.now
        for delay in [60, 20, 40, 0, 80] {
            scheduler.after(.milliseconds(delay)) {
                if scheduler.now - start < .milliseconds(delay) { gathered.add(-1) }
                gathered.add(delay)
                if delay == 80 { done.signal() }
            }
        }
        #expect(done.wait(timeout: .now() + 20) == .success)
        #expect(gathered.all == [0, 20, 40, 60, 80])
        scheduler.shutdown()
    }

    @Test func aCancelledTimerNeverRunsAndFreesItsWork() {
        let scheduler = ThreadScheduler(threads: 1, name: "cancel")
        let gathered = Gathered()
        let done = DispatchSemaphore(value: 0)
        weak var held: Gathered?
        do {
            let captured = Gathered()
            held = captured
            let timer = scheduler.after(.seconds(3600)) { captured.add(1) }
            timer.cancel()
            timer.cancel()
        }
        #expect(held == nil)
        let timers = (0..<1000).map { number in
            scheduler.after(.milliseconds(50)) { gathered.add(number) }
        }
        for (number, timer) in timers.enumerated() where number % 10 != 0 { timer.cancel() }
        scheduler.after(.milliseconds(100)) { done.signal() }
        #expect(done.wait(timeout: .now() + 20) == .success)
        #expect(gathered.all == Array(stride(from: 0, to: 1000, by: 10)))
        scheduler.shutdown()
    }

    @Test func shutdownFinishesQueuedWorksDropsTimersAndRefusesMore() {
        let scheduler = ThreadScheduler(threads: 2, name: "stop")
        let gathered = Gathered()
        for number in 0..<100 { scheduler.run { gathered.add(number) } }
        scheduler.after(.seconds(3600)) { gathered.add(-1) }
        scheduler.shutdown()
        scheduler.run { gathered.add(-2) }
        scheduler.after(.zero) { gathered.add(-3) }
        #expect(gathered.all.sorted() == Array(0..<100))
    }

    @Test func aWorkMayShutDownItsOwnScheduler() {
        let scheduler = ThreadScheduler(threads: 2, name: "own")
        let done = DispatchSemaphore(value: 0)
        scheduler.run {
            scheduler.shutdown()
            done.signal()
        }
        #expect(done.wait(timeout: .now() + 20) == .success)
    }

    @Test func clocksAreThoseOfTheSystem() {
        let scheduler = ThreadScheduler(threads: 1, name: "clock")
        let before = scheduler.now
        #expect(scheduler.now >= before)
        let difference = scheduler.unixTime - .seconds(Date().timeIntervalSince1970)
        #expect(abs(difference.components.seconds) < 5)
        scheduler.shutdown()
    }
}
