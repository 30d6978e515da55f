// One of the threads that use a file system at once in ThreadStressTests.

import Glibc
import Operations
import S3
import Scheduling
import Simulation
import Synchronization
import Testing

@testable import FileSystem

/// An answer that a thread waits for.
final class Awaited<Value: Sendable>: Sendable {
    private let condition = Condition()
    private let stored = Mutex<Value?>(nil)

    func set(_ value: Value) {
        condition.withLock {
            stored.withLock { $0 = value }
            condition.broadcast()
        }
    }

    /// Nil when it does not come within `seconds`.
    func get(seconds: Int) -> Value? {
        var start = timespec()
        clock_gettime(CLOCK_MONOTONIC, &start)
        let end = Duration.seconds(start.tv_sec + seconds)
        condition.lock()
        defer { condition.unlock() }
        while true {
            if let value = stored.withLock({ $0 }) { return value }
            var now = timespec()
            clock_gettime(CLOCK_MONOTONIC, &now)
            guard Duration.seconds(now.tv_sec) < end else { return nil }
            condition.wait(until: end)
        }
    }
}

/// A caller: one operation after the other, some of them with several answers owed at once.
final class StressCaller: @unchecked Sendable {
    /// Seconds after which an answer counts as never given.
    static let patience = 15

    private let fileSystem: FileSystem
    private let stress: ThreadStress
    private let store: ThreadedStore
    private var generator: SeededGenerator
    /// What this caller looked up, and how often: given back at the end, and now and then.
    private let lookups = Mutex<[InodeNumber: UInt64]>([:])

    init(_ fileSystem: FileSystem, stress: ThreadStress, store: ThreadedStore, seed: UInt64) {
        self.fileSystem = fileSystem
        self.stress = stress
        self.store = store
        generator = SeededGenerator(seed: seed)
    }

    func perform() {
        let key = ObjectKey(
            "d\(Int.random(in: 0..<ThreadedStore.directories, using: &generator))/"
                + "f\(Int.random(in: 0..<ThreadedStore.files, using: &generator))")
        switch Int.random(in: 0..<20, using: &generator) {
        case 0: store.replace(key)
        case 1, 2: list(key)
        case 3: forget()
        default: use(key)
        }
    }

    /// Gives back all lookups.
    func end() {
        forget()
    }

    // MARK: Names

    private func lookup(_ parent: InodeNumber, _ name: ArraySlice<UInt8>) -> FileAttributes? {
        let isInterrupted = generator.chance(0.1)
        let answer: Result<EntryAnswer, Errno>? = ask(
            "lookup", isInterrupted: isInterrupted,
            late: { [fileSystem] answer in
                guard let inode = answer.attributes?.inode else { return }
                fileSystem.forget(inode: inode, count: 1)
            },
            { fileSystem.lookup(parent: parent, name: Array(name), reply: $0) })
        guard case .success(let entry)? = answer else {
            if !isInterrupted { expect(answer, [.noEntry, .stale], "lookup") }
            return nil
        }
        guard let attributes = entry.attributes else {
            stress.find("lookup found nothing")
            return nil
        }
        lookups.withLock { $0[attributes.inode, default: 0] += 1 }
        return attributes
    }

    private func forget() {
        let all = lookups.withLock { lookups in
            defer { lookups = [:] }
            return lookups
        }
        for (inode, count) in all.sorted(by: { $0.key > $1.key }) {
            fileSystem.forget(inode: inode, count: count)
        }
    }

    private func list(_ key: ObjectKey) {
        guard let directory = lookup(1, key.bytes[0..<2]) else { return }
        guard
            case .success(let opened)? = ask(
                "opendir", { fileSystem.openDirectory(inode: directory.inode, reply: $0) })
        else { return stress.find("opendir failed") }
        var rows: [DirectoryRow] = []
        while true {
            let page = StressPage(room: 3, stress: stress)
            fileSystem.readDirectory(
                inode: directory.inode, handle: opened.handle, offset: rows.last?.nextOffset ?? 0,
                reply: page)
            guard let end = page.end.get(seconds: StressCaller.patience) else {
                return stress.find("readdir never answered")
            }
            if case .failure(let error) = end { stress.find("readdir: \(error)") }
            let more = page.rows
            for row in more where row.hasEntry {
                lookups.withLock { $0[row.attributes.inode, default: 0] += 1 }
            }
            if more.isEmpty { break }
            rows += more
        }
        let names = Set(rows.map(\.text)).subtracting([".", ".."])
        if names.count != ThreadedStore.files { stress.find("readdir gave \(names.sorted())") }
        _ = ask(
            "releasedir",
            {
                fileSystem.releaseDirectory(
                    inode: directory.inode, handle: opened.handle, reply: $0)
            })
    }

    // MARK: Files

    private func use(_ key: ObjectKey) {
        guard let directory = lookup(1, key.bytes[0..<2]),
            let file = lookup(directory.inode, key.bytes[3...])
        else { return }
        let isInterrupted = generator.chance(0.1)
        let answer: Result<OpenAnswer, Errno>? = ask(
            "open", isInterrupted: isInterrupted,
            { fileSystem.open(inode: file.inode, flags: O_RDONLY, reply: $0) })
        guard case .success(let opened)? = answer else {
            if !isInterrupted { expect(answer, [.stale, .accessDenied], "open") }
            return
        }
        let size = ThreadedStore.size(of: key)
        let check = ReadCheck(key: key, store: store, stress: stress)
        if Bool.random(using: &generator) {
            for offset in stride(from: 0, to: size, by: 128 << 10) {
                guard readAll([(offset, 128 << 10)], file.inode, opened.handle, check) else {
                    break
                }
            }
        } else {
            for _ in 0..<4 {
                let places = (0..<Int.random(in: 1...4, using: &generator)).map { _ in
                    (
                        offset: Int.random(in: 0...size, using: &generator),
                        size: Int.random(in: 1...400_000, using: &generator)
                    )
                }
                guard readAll(places, file.inode, opened.handle, check) else { break }
            }
        }
        _ = ask(
            "release",
            { fileSystem.release(inode: file.inode, handle: opened.handle, reply: $0) })
    }

    /// Reads places at once and waits for all. False when one failed.
    private func readAll(
        _ places: [(offset: Int, size: Int)], _ inode: InodeNumber, _ handle: HandleNumber,
        _ check: ReadCheck
    ) -> Bool {
        let answers = places.map { offset, size in
            let answer = Awaited<Errno?>()
            let reply: Reply<ReadAnswer> = stress.reply { result in
                switch result {
                case .success(let read):
                    check.take(read, offset: offset, size: size)
                    answer.set(nil)
                case .failure(let error):
                    answer.set(error)
                }
            }
            let isInterrupted = generator.chance(0.05)
            fileSystem.read(
                inode: inode, handle: handle, offset: Int64(offset), size: size, reply: reply)
            if isInterrupted { stress.meanwhile { reply.fail(.interrupted) } }
            return answer
        }
        var isGood = true
        for answer in answers {
            guard let error = answer.get(seconds: StressCaller.patience) else {
                stress.find("a read of \(check.key) was never answered")
                return false
            }
            if let error {
                isGood = false
                if ![.interrupted, .stale, .accessDenied].contains(error) {
                    stress.find("read of \(check.key): \(error)")
                }
            }
        }
        return isGood
    }

    // MARK: Asking

    private func ask<Value: Sendable>(
        _ what: String, isInterrupted: Bool = false, late: (@Sendable (Value) -> Void)? = nil,
        _ begin: (Reply<Value>) -> Void
    ) -> Result<Value, Errno>? {
        let answer = Awaited<Result<Value, Errno>>()
        let reply: Reply<Value> = stress.reply(late: late) { answer.set($0) }
        begin(reply)
        if isInterrupted { stress.meanwhile { reply.fail(.interrupted) } }
        let result = answer.get(seconds: StressCaller.patience)
        if result == nil { stress.find("\(what) was never answered") }
        return result
    }

    private func expect<Value>(
        _ answer: Result<Value, Errno>?, _ errors: [Errno], _ what: String
    ) {
        guard case .failure(let error)? = answer, !errors.contains(error) else { return }
        stress.find("\(what): \(error)")
    }
}

/// Judges what one handle reads: all of it from one and the same version.
final class ReadCheck: Sendable {
    let key: ObjectKey
    private let store: ThreadedStore
    private let stress: ThreadStress
    /// Versions that fit everything read so far; nil before the first read.
    private let candidates = Mutex<[Int]?>(nil)

    init(key: ObjectKey, store: ThreadedStore, stress: ThreadStress) {
        self.key = key
        self.store = store
        self.stress = stress
    }

    func take(_ answer: ReadAnswer, offset: Int, size: Int) {
        let expected = min(size, max(0, ThreadedStore.size(of: key) - offset))
        guard answer.count == expected else {
            return stress.find("\(key) at \(offset): \(answer.count) bytes, not \(expected)")
        }
        stress.wasRead(expected)
        let isRight = candidates.withLock { candidates in
            let versions = candidates ?? Array(0...store.version(of: key))
            let fitting = versions.filter { fits(answer, store.bytes(key, version: $0), offset) }
            candidates = fitting
            return !fitting.isEmpty
        }
        if !isRight { stress.find("\(key) at \(offset) size \(size): wrong bytes") }
    }

    private func fits(_ answer: ReadAnswer, _ bytes: ArraySlice<UInt8>, _ offset: Int) -> Bool {
        bytes.withUnsafeBytes { bytes in
            var position = offset
            for piece in answer.pieces {
                let isSame =
                    memcmp(
                        piece.buffer.pointer + piece.offset, bytes.baseAddress! + position,
                        piece.count) == 0
                guard isSame else { return false }
                position += piece.count
            }
            return true
        }
    }
}

/// A directory page of few names, whose answer a thread waits for.
final class StressPage: DirectoryReply {
    let end = Awaited<Result<Void, Errno>>()
    private let inner: PageReply
    private let counted: Reply<Void>

    init(room: Int, stress: ThreadStress) {
        inner = PageReply(room: room, plus: true)
        counted = stress.reply { [end] in end.set($0) }
    }

    var rows: [DirectoryRow] { inner.page.rows }
    var plus: Bool { true }

    func add(
        name: some Collection<UInt8>, attributes: FileAttributes, entryTimeout: Duration?,
        attributesTimeout: Duration, nextOffset: UInt64
    ) -> Bool {
        inner.add(
            name: name, attributes: attributes, entryTimeout: entryTimeout,
            attributesTimeout: attributesTimeout, nextOffset: nextOffset)
    }

    func finish() {
        inner.finish()
        counted.succeed()
    }

    func fail(_ errno: Errno) {
        inner.fail(errno)
        counted.fail(errno)
    }
}
