// One history of a mount, played from one seed: random operations of many callers at once, a bucket
// that others change, faults of the network and the disk, time that passes. Every answer is judged by
// the reference model as it arrives; the end is judged as a whole.
//
// Runs on one thread; the answers arrive inside `scheduler.step()`.

import Buffers
import FileSystem
import Glibc
import Logging
import Operations
import S3
import Simulation

/// What the simulated kernel knows of an inode it holds.
struct Node {
    var parent: InodeNumber
    /// What the keys of its directory begin with.
    var prefix: [UInt8]
    var name: [UInt8]
    var isDirectory: Bool
    /// The kernel believes name and attributes until then.
    var validUntil: Duration
    /// The oldest time at which what is known of it was learned.
    var since: Duration
    /// Operations and handles on it: it cannot be forgotten meanwhile.
    var uses = 0

    /// What the keys below a directory begin with.
    var childPrefix: [UInt8] { prefix + name + [UInt8(ascii: "/")] }
}

/// An open file and the versions it may be pinned to.
struct OpenFile {
    var inode: InodeNumber
    var key: ObjectKey
    var since: Duration
    var candidates: [StoredObject]
    var nextOffset: Int64 = 0
    var reads = 0
    var isClosing = false
}

/// An open directory and what was read of it.
struct OpenDirectory {
    var inode: InodeNumber
    var prefix: [UInt8]
    var since: Duration
    var seen: [DirectoryName] = []
    var isBusy = false
    /// A fault may be remembered by its snapshot.
    var wasRough: Bool
}

final class RandomSimulation: @unchecked Sendable {
    let plan: SimulationPlan
    var generator: SeededGenerator
    let scheduler: SimulatedScheduler
    let store: SimulatedStore
    let blocks: MemoryBlockStorage
    let pool: BufferPool
    let notifier = RecordingNotifier()
    let fileSystem: FileSystem
    let driver: FileSystemDriver
    let model: BucketModel

    var nodes: [InodeNumber: Node] = [:]
    var files: [HandleNumber: OpenFile] = [:]
    var directories: [HandleNumber: OpenDirectory] = [:]
    /// The versions that the last open of an inode may have seen, and its handle.
    var lastOpened: [InodeNumber: Set<ETag>] = [:]
    var lastHandle: [InodeNumber: HandleNumber] = [:]
    /// Operations that may be interrupted.
    var interruptible: [PendingOperation] = []
    var isRough = false
    var lastRough = Duration.seconds(-1)
    var problems: [String] = []
    /// Answers judged, by kind, to see that a run tests what it should.
    var judged: [String: Int] = [:]
    let isTraced: Bool
    var trace: [String] = []

    init(seed: UInt64, isTraced: Bool = false) {
        var generator = SeededGenerator(seed: seed &* 0x9E37_79B9 &+ 1)
        plan = SimulationPlan(seed: seed, using: &generator)
        scheduler = SimulatedScheduler(seed: generator.next())
        store = SimulatedStore(scheduler: scheduler, seed: generator.next())
        blocks = MemoryBlockStorage(scheduler: scheduler, seed: generator.next())
        pool = BufferPool(limit: plan.poolLimit)
        fileSystem = FileSystem(
            configuration: plan.configuration, store: store, blocks: plan.hasBlocks ? blocks : nil,
            pool: pool, scheduler: scheduler, notifier: notifier,
            logger: Logger(label: "simulation") { _ in SwiftLogNoOpLogHandler() })
        driver = FileSystemDriver(fileSystem, scheduler: scheduler)
        model = BucketModel(store: store)
        self.generator = generator
        self.isTraced = isTraced
        store.roundTrip = plan.roundTrip
    }

    // MARK: The run

    /// Plays it to the end, or to the first finding.
    func run() {
        note(plan.summary)
        for _ in 0..<Int.random(in: 1...30, using: &generator) {
            plan.putSomething(into: store, using: &generator)
        }
        nodes[FileSystemDriver.root] = Node(
            parent: 0, prefix: [], name: [], isDirectory: true, validUntil: .seconds(1 << 40),
            since: .seconds(-1 << 40))
        for _ in 0..<plan.operations where problems.isEmpty {
            heedNotifications()
            perform()
            for _ in 0..<Int.random(in: 0...12, using: &generator) {
                scheduler.step(until: scheduler.now + .milliseconds(200))
            }
        }
        if problems.isEmpty { end() }
    }

    private func perform() {
        switch Int.random(in: 0..<100, using: &generator) {
        case 0..<20: lookUpSomething()
        case 20..<26: getAttributesOfSomething()
        case 26..<36: openSomething()
        case 36..<64: readSomething()
        case 64..<68: closeSomething()
        case 68..<72: openSomeDirectory()
        case 72..<84: readSomeDirectory()
        case 84..<86: closeSomeDirectory()
        case 86..<88: forgetSomething()
        case 88..<90: getSomeExtendedAttribute()
        case 90..<94: changeSomething()
        case 94..<96: interruptSomething()
        case 96..<98: passTime()
        default: toggleFaults()
        }
    }

    private func changeSomething() {
        guard plan.hasChanges else { return }
        if let object = store.objects.randomElement(using: &generator), generator.chance(0.6) {
            if generator.chance(0.5) {
                note("delete \(object.key)")
                store.delete(object.key)
            } else {
                store.put(object.key, generator.bytes(plan.size(using: &generator)))
                note("replace \(object.key) \(store.object(object.key)!.etag.text)")
            }
        } else {
            plan.putSomething(into: store, using: &generator)
        }
    }

    private func passTime() {
        let span = [
            Duration.milliseconds(50), .seconds(1), .seconds(5), plan.timeToLive ?? .seconds(60),
            (plan.timeToLive ?? .seconds(60)) * 2,
        ].randomElement(using: &generator)!
        note("advance \(span)")
        if isRough { lastRough = scheduler.now }
        scheduler.advance(by: span)
        if isRough { lastRough = scheduler.now }
    }

    private func interruptSomething() {
        interruptible.removeAll { $0.isAnswered }
        guard let one = interruptible.randomElement(using: &generator) else { return }
        note("interrupt \(one.description)")
        one.interrupt()
    }

    private func toggleFaults() {
        guard plan.hasFaults else { return }
        if isRough {
            calmDown()
        } else {
            note("faults begin")
            isRough = true
            var faults = FaultPlan.rough(errors: 0.03)
            if !plan.hasChanges { (faults.changeBeforeGet, faults.changeDuringGet) = (0, 0) }
            store.faults = faults
            blocks.faults = .rough
            blocks.isFull = generator.chance(0.2)
        }
    }

    /// Ends the faults, and lets what they hit come to its end.
    func calmDown() {
        store.faults = FaultPlan()
        blocks.faults = BlockFaults()
        blocks.isFull = false
        let end = scheduler.now + .seconds(60)
        var steps = 0
        while store.pendingRequests > 0 || !driver.unanswered.isEmpty {
            guard scheduler.step(until: end) else { break }
            steps += 1
            if steps > 100_000 { return problem("requests for ever: \(lastRequests)") }
        }
        if isRough { lastRough = scheduler.now }
        isRough = false
        note("calm")
    }

    private func heedNotifications() {
        for notification in notifier.take() {
            note("told \(notification)")
            switch notification {
            case .inode(let inode, _, _): nodes[inode]?.validUntil = .seconds(-1)
            case .entry(let parent, let name):
                for (inode, node) in nodes where node.parent == parent && node.name == name {
                    nodes[inode]?.validUntil = .seconds(-1)
                }
            }
        }
    }

    // MARK: Windows of time

    /// Since when what was answered may have been true, from an answer of now that the kernel may
    /// believe for `timeout`.
    func since(timeout: Duration) -> Duration {
        guard let ttl = plan.timeToLive else { return .seconds(-1 << 40) }
        // The namespace counts in whole milliseconds.
        if timeout > ttl + .milliseconds(1) { problem("timeout \(timeout) is longer than the TTL") }
        return scheduler.now + timeout - ttl - plan.slack
    }

    /// True when a fault may be the reason for an error of an operation begun at `start`.
    func isFault(_ errno: Errno, start: Duration) -> Bool {
        guard plan.hasFaults, isRough || lastRough >= start else { return false }
        return [.inputOutput, .timedOut, .accessDenied].contains(errno)
    }

    // MARK: Notes

    /// For messages.
    var lastRequests: String {
        store.requests.suffix(4).map {
            "\($0.operation) \($0.key) \($0.range?.description ?? "") \($0.outcome) at \($0.time)"
        }.joined(separator: "; ")
    }

    func problem(_ text: String) {
        problems.append("at \(scheduler.now): \(text)")
        note("PROBLEM \(text)")
    }

    func count(_ what: String) { judged[what, default: 0] += 1 }

    func note(_ text: @autoclosure () -> String) {
        guard isTraced else { return }
        print("\(scheduler.now) \(text())")
    }

    static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    /// Inodes in ascending order: a dictionary's order is not the seed's.
    func inodes(where isWanted: (Node) -> Bool) -> [InodeNumber] {
        nodes.filter { isWanted($0.value) }.map(\.key).sorted()
    }
}
