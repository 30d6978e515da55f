// What a process does to a cache directory that others use, too.

import BlockStore
import Foundation
import Logging
import Scheduling

enum Hammer {
    static func store(_ directory: String, limit: Int64, queueLimit: Int = 64 << 20)
        -> DiskBlockStore
    {
        do {
            return try DiskBlockStore(
                directory: directory, limit: limit, keepFree: 0,
                scheduler: ThreadScheduler(threads: 4, name: "hammer"),
                logger: Logger(label: "hammer"), queueLimit: queueLimit)
        } catch {
            print(error)
            exit(73)
        }
    }

    static func identity(_ number: Int, size: Int64) -> ObjectIdentity {
        ObjectIdentity(
            store: "https://s3.test/hammer", key: Array("key-\(number)".utf8),
            etag: "etag-\(number)", size: size)
    }

    /// The word that a chunk of an object is full of.
    static func word(_ number: Int, _ block: Int, _ chunk: Int) -> UInt64 {
        UInt64(number + 1) &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(block * 64 + chunk + 1)
            &* 0xBF58_476D_1CE4_E5B9
    }

    static func fill(_ memory: Memory, _ number: Int, _ block: Int, _ chunks: Range<Int>) {
        for (place, chunk) in chunks.enumerated() {
            let words = (memory.pointer + place << 14).assumingMemoryBound(to: UInt64.self)
            words.update(repeating: word(number, block, chunk), count: 1 << 11)
        }
    }

    static func isRight(_ memory: Memory, _ number: Int, _ block: Int, _ chunks: Range<Int>)
        -> Bool
    {
        chunks.enumerated().allSatisfy { place, chunk in
            let words = (memory.pointer + place << 14).assumingMemoryBound(to: UInt64.self)
            let wanted = word(number, block, chunk)
            return (0..<(1 << 11)).allSatisfy { words[$0] == wanted }
        }
    }

    /// Writes and checks random chunks of eight objects. Prints what came back right.
    static func work(_ directory: String, limit: Int64, seed: UInt64, seconds: Int) -> Int32 {
        let store = store(directory, limit: limit)
        var random = Seeded(seed)
        var right = 0
        let end = Date().addingTimeInterval(Double(seconds))
        while Date() < end {
            let which = Int.random(in: 0..<8, using: &random)
            let identity = identity(which, size: Int64(which + 1) << 20)
            guard let object = store.open(identity) else { continue }
            let block = Int.random(in: 0...which, using: &random)
            let from = Int.random(in: 0..<64, using: &random)
            let chunks = from..<Int.random(in: from + 1...64, using: &random)
            let memory = Memory(1 << 20)
            if object.read(block: block, chunks: chunks, into: memory.pointer) {
                guard isRight(memory, which, block, chunks) else {
                    print("seed \(seed): wrong bytes in object \(which) block \(block) \(chunks)")
                    return 1
                }
                right += 1
            }
            fill(memory, which, block, chunks)
            object.store(block: block, chunks: chunks, from: memory.pointer) {
                withExtendedLifetime(memory) {}
            }
            if right % 64 == 63 { store.synchronize() }
        }
        store.close()
        print("right \(right)")
        return 0
    }

    /// Stores blocks, keeps the directory open, and ends without taking leave when stdin does.
    static func hold(_ directory: String, limit: Int64, bytes: Int) {
        let store = store(directory, limit: limit)
        let blocks = bytes >> 20
        if blocks > 0, let object = store.open(identity(100, size: Int64(bytes))) {
            for block in 0..<blocks {
                let memory = Memory(1 << 20)
                fill(memory, 100, block, 0..<64)
                object.store(block: block, chunks: 0..<64, from: memory.pointer) {
                    withExtendedLifetime(memory) {}
                }
            }
        }
        store.synchronize()
        print("ready")
        fflush(nil)
        while readLine() != nil {}
        kill(getpid(), SIGKILL)
    }
}

final class Memory: @unchecked Sendable {
    let pointer: UnsafeMutableRawPointer
    init(_ count: Int) { pointer = .allocate(byteCount: max(count, 1), alignment: 4096) }
    deinit { pointer.deallocate() }
}

/// SplitMix64.
struct Seeded: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
