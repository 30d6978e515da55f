// Waiting until everything is in the bucket, with a time limit and progress.

import FileSystem
import Glibc
import Synchronization

/// One flush of a mount. It goes on when nobody waits any more.
final class Flush: Sendable {
    private let fileSystem: FileSystem
    private let outcome: Outcome

    private final class Outcome: Sendable {
        let problems = Mutex<[String]?>(nil)
    }

    /// How often progress is looked at, in microseconds.
    private static let pause: UInt32 = 100_000

    init(_ fileSystem: FileSystem) {
        self.fileSystem = fileSystem
        let outcome = Outcome()
        self.outcome = outcome
        fileSystem.flushPending { problems in outcome.problems.withLock { $0 = problems } }
    }

    /// What could not be published, one line each; none while it goes on.
    var problems: [String] { outcome.problems.withLock { $0 } ?? [] }

    /// Waits on the caller's thread.
    ///
    /// - Parameters:
    ///   - isWanted: asked now and then; false ends the wait.
    ///   - progress: told what is left, now and then.
    /// - Returns: false when the time was not enough.
    func wait(
        limit: Duration, isWanted: () -> Bool, progress: (_ files: Int, _ bytes: Int64) -> Void
    ) -> Bool {
        let clock = ContinuousClock()
        let start = clock.now
        var turn = 0
        while outcome.problems.withLock({ $0 == nil }) {
            guard clock.now - start < limit, isWanted() else { return false }
            if turn.isMultiple(of: 5) {
                let left = fileSystem.pendingAmount
                progress(left.files, left.bytes)
            }
            turn += 1
            // Short at first: most flushes have nothing to do.
            usleep(turn < 20 ? 5_000 : Self.pause)
        }
        return true
    }
}

/// One line on a terminal that is written over as a flush goes on; nothing anywhere else.
final class ProgressLine: Sendable {
    private let isShown: Bool
    private let state = Mutex((most: Int64(0), isDrawn: false))
    private static let width = 30

    /// - Parameter isQuiet: draws nothing, also on a terminal.
    init(isQuiet: Bool = false) { isShown = !isQuiet && isatty(STDERR_FILENO) == 1 }

    /// Draws what is left.
    func show(files: Int, bytes: Int64) {
        guard isShown, files > 0 else { return }
        let line = state.withLock { state in
            state.most = max(state.most, bytes)
            state.isDrawn = true
            return Self.line(files: files, bytes: bytes, of: state.most)
        }
        Standard.text("\r\u{1B}[K" + line, to: STDERR_FILENO)
    }

    /// Takes the line away.
    func end() {
        let isDrawn = state.withLock { state in
            defer { state.isDrawn = false }
            return state.isDrawn
        }
        if isDrawn { Standard.text("\r\u{1B}[K", to: STDERR_FILENO) }
    }

    /// `[#####.....] 12 files, 3.4GiB of 7.0GiB left`
    static func line(files: Int, bytes: Int64, of most: Int64) -> String {
        let done = most > 0 ? Int(Double(most - bytes) / Double(most) * Double(width)) : 0
        let bar = String(repeating: "#", count: done) + String(repeating: ".", count: width - done)
        let count = files == 1 ? "1 file" : "\(files) files"
        return "[\(bar)] \(count), \(ByteSize.approximate(bytes)) of "
            + "\(ByteSize.approximate(most)) left"
    }
}
