// What a process does to the staging area, and what that costs.

import BlockStore
import Foundation
import Logging
import Synchronization

enum Stage {
    static func open(_ directory: String) -> DiskStaging {
        do {
            return try DiskStaging(
                directory: directory, store: "https://s3.test/hammer", basePath: "base/",
                limit: 1 << 40, keepFree: 0, logger: Logger(label: "hammer"))
        } catch {
            print(error)
            exit(73)
        }
    }

    /// Record `number`: its first 8 bytes say which, the length follows from it.
    static func record(_ number: UInt64) -> [UInt8] {
        let bytes = withUnsafeBytes(of: number) { Array($0) }
        return (0..<(1 + Int(number % 50))).flatMap { _ in bytes }
    }

    /// Puts durable records from several threads until it is killed; prints each once acknowledged.
    static func puts(_ directory: String) -> Never {
        let staging = open(directory)
        let next = Atomic<UInt64>(0)
        DispatchQueue.concurrentPerform(iterations: 4) { _ in
            while true {
                let number = next.add(1, ordering: .relaxed).newValue
                guard (try? staging.journal.put(record(number), id: nil, durable: true)) != nil
                else { exit(1) }
                // One write(2) for one line: lines of threads do not mix.
                let line = Array("\(number)\n".utf8)
                _ = write(1, line, line.count)
            }
        }
        exit(0)
    }

    /// Leaves a file and its record, says so, and ends without taking leave when stdin does.
    static func hold(_ directory: String) {
        let staging = open(directory)
        do {
            let file = try staging.makeFile()
            try Array("left \(getpid())".utf8).withUnsafeBytes { try file.write($0, at: 0) }
            try staging.journal.put(Array(file.name.utf8), id: nil, durable: true)
        } catch { print(error) }
        print("ready")
        fflush(nil)
        while readLine() != nil {}
        kill(getpid(), SIGKILL)
    }

    /// What small files and durable records cost.
    static func bench(_ directory: String, count: Int) {
        let staging = open(directory)
        let bytes = [UInt8](repeating: 7, count: 10 << 10)
        measure("makeFile + write 10 KiB + remove", count) {
            for _ in 0..<count {
                guard let file = try? staging.makeFile() else { exit(1) }
                bytes.withUnsafeBytes { try? file.write($0, at: 0) }
                file.remove()
            }
        }
        for threads in [1, 64] {
            measure("durable puts, \(threads) threads", count) {
                let group = DispatchGroup()
                for _ in 0..<threads {
                    group.enter()
                    Thread.detachNewThread {
                        for _ in 0..<(count / threads) {
                            _ = try? staging.journal.put(
                                [UInt8](bytes.prefix(240)), id: nil, durable: true)
                        }
                        group.leave()
                    }
                }
                group.wait()
            }
        }
        for record in (try? staging.journal.records()) ?? [] {
            try? staging.journal.remove(record.id)
        }
        staging.close()
    }

    private static func measure(_ what: String, _ count: Int, _ work: () -> Void) {
        let start = Date()
        work()
        print("\(what): \(Int(Date().timeIntervalSince(start) * 1e6) / count) us each")
    }
}
