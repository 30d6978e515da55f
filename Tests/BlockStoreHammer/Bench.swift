// What storing and opening cost. Build with `-c release`; see main.swift.

import BlockStore
import Foundation

enum Bench {
    private struct Usage {
        let wall = Date()
        let user: Double
        let system: Double

        init() {
            var usage = rusage()
            getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
            user = Double(usage.ru_utime.tv_sec) + Double(usage.ru_utime.tv_usec) / 1e6
            system = Double(usage.ru_stime.tv_sec) + Double(usage.ru_stime.tv_usec) / 1e6
        }
    }

    private static func residentMiB() -> Int {
        let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
        return (Int(text.split(separator: " ").dropFirst().first ?? "0") ?? 0) / 256
    }

    private static func say(_ what: String, _ from: Usage, bytes: Int, objects: Int) {
        let now = Usage()
        let seconds = now.wall.timeIntervalSince(from.wall)
        let (user, system) = (now.user - from.user, now.system - from.system)
        let gib = Double(bytes) / Double(1 << 30)
        print(
            String(
                format: "%@: %.3f s, %.0f MB/s, user %.3f sys %.3f, %.3f CPU-s/GiB, "
                    + "%.1f us CPU/object, rss %d MiB", what, seconds,
                Double(bytes) / 1e6 / seconds, user, system, (user + system) / gib,
                (user + system) * 1e6 / Double(max(objects, 1)), residentMiB()))
    }

    /// - Parameter rate: MB/s at which blocks come (more than the store takes are dropped); 0: as
    ///   fast as it takes them.
    static func large(_ directory: String, blocks: Int, rate: Int) {
        let store = Hammer.store(directory, limit: 64 << 30)
        let ring = (0..<32).map { _ in Memory(1 << 20) }
        for memory in ring { Hammer.fill(memory, 1, 0, 0..<64) }
        let free = DispatchSemaphore(value: ring.count)
        let object = store.open(Hammer.identity(Int(getpid()), size: Int64(blocks) << 20))!
        let start = Usage()
        for block in 0..<blocks {
            if rate > 0 {
                let due = Double(block) * 1.048576 / Double(rate)
                let wait = due - Date().timeIntervalSince(start.wall)
                if wait > 0 { usleep(UInt32(wait * 1e6)) }
            } else {
                free.wait()
            }
            let memory = ring[block % ring.count]
            object.store(block: block, chunks: 0..<64, from: memory.pointer) { free.signal() }
        }
        store.synchronize()
        withExtendedLifetime(ring) {}
        say("large", start, bytes: blocks << 20, objects: 1)
        print("kept \((0..<blocks).count { object.present(block: $0) == .max }) of \(blocks)")
        let reading = Usage()
        let memory = Memory(1 << 20)
        for block in 0..<blocks {
            _ = object.read(block: block, chunks: 0..<64, into: memory.pointer)
        }
        say("read back", reading, bytes: blocks << 20, objects: 1)
        store.close()
    }

    static func small(_ directory: String, count: Int, limit: Int) {
        let store = Hammer.store(directory, limit: Int64(limit))
        let size = 100 << 10
        let ring = (0..<64).map { _ in Memory(128 << 10) }
        for memory in ring { Hammer.fill(memory, 1, 0, 0..<7) }
        let free = DispatchSemaphore(value: ring.count)
        let start = Usage()
        for number in 0..<count {
            free.wait()
            let object = store.open(Hammer.identity(number, size: Int64(size)))!
            object.store(block: 0, chunks: 0..<7, from: ring[number % ring.count].pointer) {
                free.signal()
            }
            if number % 50_000 == 49_999 {
                say("small \(number + 1)", start, bytes: size * (number + 1), objects: number + 1)
            }
        }
        store.synchronize()
        withExtendedLifetime(ring) {}
        say("small", start, bytes: size * count, objects: count)
        let kept = (0..<count).count { number in
            store.open(Hammer.identity(number, size: Int64(size)))?.present(block: 0) == 0x7F
        }
        print("kept \(kept) of \(count)")
        store.close()
    }

    static func open(_ directory: String) {
        var store = Hammer.store(directory, limit: 64 << 30)
        let huge = Hammer.identity(0, size: 200_000_000_000)
        let memory = Memory(1 << 20)
        for number in 1...200 {
            let object = store.open(Hammer.identity(number, size: 100 << 10))!
            object.store(block: 0, chunks: 0..<7, from: memory.pointer) {}
        }
        store.synchronize()
        let object = store.open(huge)!
        // One chunk of every 16th block: a map of full length.
        for block in stride(from: 0, to: 190_000, by: 16) {
            object.store(block: block, chunks: 0..<1, from: memory.pointer) {}
            if block % 4096 == 0 { store.synchronize() }
        }
        store.synchronize()
        withExtendedLifetime(memory) {}
        store.close()
        store = Hammer.store(directory, limit: 64 << 30)
        var start = Date()
        for number in 1...200 {
            let object = store.open(Hammer.identity(number, size: 100 << 10))!
            precondition(object.present(block: 0) == 0x7F)
        }
        let each = Date().timeIntervalSince(start) / 200 * 1e6
        start = Date()
        let again = store.open(huge)!
        let opened = Date().timeIntervalSince(start) * 1e6
        while again.present(block: 189_984) == 0, Date().timeIntervalSince(start) < 5 {
            usleep(100)
        }
        let loaded = Date().timeIntervalSince(start) * 1e3
        print(
            String(
                format: "open 100 KiB: %.1f us; open 200 GB: %.1f us, all of it known after "
                    + "%.1f ms; rss %d MiB", each, opened, loaded, residentMiB()))
        store.close()
    }
}
