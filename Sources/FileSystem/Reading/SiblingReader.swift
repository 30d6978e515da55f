// Fetches small files before they are asked for when a directory is walked in listing order.
// Never waits and never asks for a listing: it knows what the namespace has in memory.
//
// Locks: `state`; under it the namespace is asked (order: SiblingReader -> Namespace). Requests are
// sent and contents closed outside it.

import Buffers
import Operations
import S3
import Synchronization

/// Readahead across the files of a directory.
final class SiblingReader: Sendable {
    /// Files up to this size are worth guessing whole, in bytes.
    static let largestFile = Int64(BlockRange.blockSize)
    /// Directories walked at one time.
    private static let walkLimit = 16

    private let context: ReadContext
    private let namespace: Namespace
    private let state = Mutex(State())

    private struct State: ~Copyable {
        var walks: [InodeNumber: Walk] = [:]
        var clock = 0
    }

    private struct Walk {
        var steps = SiblingWalk()
        var guesses: [Int: Guess] = [:]
        var lastUse = 0

        var inOrder: [Guess] { guesses.sorted { $0.key < $1.key }.map(\.value) }
    }

    private struct Guess {
        var content: ObjectContent
        var fetch: Fetch?
    }

    init(context: ReadContext, namespace: Namespace) {
        self.context = context
        self.namespace = namespace
    }

    /// A file was opened (its handle already holds its content).
    func opened(_ inode: InodeNumber) {
        guard let position = namespace.position(of: inode) else { return }
        var used: Guess?
        var wrong: [Guess] = []
        var next: (index: Int, files: [(index: Int, version: ObjectVersion)])?
        state.withLock { state in
            state.clock += 1
            var walk = state.walks[position.directory] ?? Walk()
            walk.lastUse = state.clock
            used = walk.guesses.removeValue(forKey: position.index)
            switch walk.steps.opened(position.index) {
            case .none:
                break
            case .broken:
                wrong += walk.inOrder
                walk.guesses = [:]
            case .guess(let index, let count):
                let files = namespace.files(in: position.directory, from: index, limit: count)
                if let last = files.last {
                    walk.steps.guessed([], end: last.index + 1)
                    next = (index, files)
                }
            }
            state.walks[position.directory] = walk
            if state.walks.count > Self.walkLimit {
                let oldest = state.walks.min { $0.value.lastUse < $1.value.lastUse }!
                wrong += oldest.value.inOrder
                state.walks[oldest.key] = nil
            }
        }
        // The handle that was opened holds the content now; its fetch goes on.
        if let used { context.contents.close(used.content) }
        for guess in wrong { drop(guess) }
        guard let next else { return }
        for file in next.files where file.version.size > 0 && file.version.size <= Self.largestFile
        {
            guard !file.version.storageClass.isArchived else { continue }
            guess(file.version, at: file.index, in: position.directory)
        }
    }

    private func guess(_ version: ObjectVersion, at index: Int, in directory: InodeNumber) {
        let content = context.contents.open(version)
        let range = 0..<version.size
        guard !content.covers(range), let buffer = context.takeForGuess(Int(version.size)) else {
            return context.contents.close(content)
        }
        var buffers = [buffer]
        let segments = content.guess(range, buffers: &buffers).fresh
        let fetch =
            segments.isEmpty
            ? nil
            : Fetch(
                context: context, content: content, segments: segments,
                onFinish: { [weak self] result in
                    if case .failure = result { self?.failed(index, in: directory) }
                })
        let guess = Guess(content: content, fetch: fetch)
        let (unwanted, isTwice) = state.withLock { state -> (Guess?, Bool) in
            guard state.walks[directory] != nil else { return (guess, false) }
            state.walks[directory]!.steps.guessed([index], end: index + 1)
            // Another thread may have guessed the same file meanwhile.
            let other = state.walks[directory]!.guesses[index]
            if other?.content === content { return (nil, true) }
            state.walks[directory]!.guesses[index] = guess
            return (other, false)
        }
        fetch?.start()
        if let unwanted { drop(unwanted) }
        if isTwice { context.contents.close(content) }
    }

    private func failed(_ index: Int, in directory: InodeNumber) {
        let guess = state.withLock { state -> Guess? in
            state.walks[directory]?.steps.dropped(index)
            return state.walks[directory]?.guesses.removeValue(forKey: index)
        }
        if let guess { context.contents.close(guess.content) }
    }

    /// Gives up a guess that was wrong, and the memory it took.
    private func drop(_ guess: Guess) {
        guess.fetch?.cancelIfUnwanted()
        guess.content.dropUnread(0..<guess.content.version.size)
        context.contents.close(guess.content)
    }

    /// Gives up all guesses: at unmount.
    func close() {
        let guesses = state.withLock { state in
            let guesses = state.walks.values.flatMap { $0.guesses.values }
            state.walks = [:]
            return guesses
        }
        for guess in guesses { drop(guess) }
    }
}
