import Glibc
import Operations
import Simulation
import Testing

/// The reference model against the real kernel: the same programs must get the same answers.
struct PosixModelTests {
    /// Directories to compare in: a file system on a disk, and tmpfs.
    private static let places = ["/var/tmp", "/tmp", "/dev/shm"]

    @Test(arguments: places) func answersAsTheKernelDoes(place: String) throws {
        let base = getenv("PAIL_SEED").flatMap { UInt64(String(cString: $0)) }
        let seeds = base.map { $0...$0 } ?? 1...60
        var errnos: Set<Errno> = []
        for seed in seeds {
            let directory = try #require(
                RealDirectory(in: place), "\(place) takes no directory")
            var generator = SeededGenerator(seed: seed &* 77)
            var model = PosixModel()
            let steps = StepGenerator()
            var played: [String] = []
            for _ in 0..<250 {
                let step = steps.step(model, using: &generator)
                let before = model
                let expected = model.play(step)
                let answer = directory.play(step)
                played.append("\(step): \(answer)")
                if let errno = answer.errno { errnos.insert(errno) }
                let fits =
                    if case .seek(let slot, let offset, let whence) = step {
                        before.allows(answer, toSeek: slot, offset, whence)
                    } else {
                        answer.fits(expected)
                    }
                if !fits {
                    Issue.record(
                        """
                        seed \(seed) in \(place): \(step): the kernel \(answer), the model \(expected)
                          \(played.suffix(12).joined(separator: "\n  "))
                        """)
                    return
                }
            }
        }
        // The programs must come to every refusal that the model knows.
        let all: Set<Errno> = [
            .noEntry, .exists, .notDirectory, .isDirectory, .notEmpty, .invalid, .badHandle,
            .tooManySymbolicLinks, .noDeviceOrAddress,
        ]
        if base == nil { #expect(errnos.isSuperset(of: all)) }
    }

    @Test func unlinkedFileLivesAsLongAsItsHandle() {
        var model = PosixModel()
        let flags = O_RDWR | O_CREAT
        #expect(model.play(.open(slot: 0, path: "a", flags: flags, permissions: 0o644)) == .done)
        #expect(model.play(.write(slot: 0, offset: 3, bytes: [1, 2])) == .count(2))
        #expect(model.play(.unlink(path: "a")) == .done)
        #expect(model.play(.look(path: "a")) == .failed(.noEntry))
        #expect(model.play(.read(slot: 0, offset: 0, size: 9)) == .bytes([0, 0, 0, 1, 2]))
        #expect(model.play(.close(slot: 0)) == .done)
        #expect(model.inodes.count == 1)
    }

    @Test func anAnswerOfSeekMustNotSkipData() {
        var model = PosixModel()
        _ = model.play(.open(slot: 0, path: "a", flags: O_RDWR | O_CREAT, permissions: 0o644))
        _ = model.play(.write(slot: 0, offset: 8192, bytes: [7]))
        #expect(model.allows(.offset(0), toSeek: 0, 0, 3))
        #expect(model.allows(.offset(8192), toSeek: 0, 0, 3))
        #expect(!model.allows(.offset(8193), toSeek: 0, 0, 3))
        #expect(!model.allows(.failed(.noDeviceOrAddress), toSeek: 0, 0, 3))
        #expect(model.allows(.offset(0), toSeek: 0, 0, 4))
        #expect(model.allows(.offset(8193), toSeek: 0, 8192, 4))
        #expect(!model.allows(.offset(8192), toSeek: 0, 8192, 4))
        #expect(model.allows(.failed(.noDeviceOrAddress), toSeek: 0, 8193, 3))
    }
}
