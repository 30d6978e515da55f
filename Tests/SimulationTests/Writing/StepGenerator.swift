// Random programs: sequences of steps over few names in nested directories, so that they collide, and
// several descriptors at once.

import Glibc
import Simulation

/// What programs are made of.
struct StepGenerator {
    var names = ["a", "b", "c", "d.txt", "e f"]
    var directories = ["", "", "", "a", "b", "x", "x/y"]
    var slots = 0..<5
    /// Bytes of the largest file.
    var largest = 120_000
    /// Borders to write around: chunks, parts, limits.
    var borders = [4096, 16384, 65536]

    func path(using generator: inout SeededGenerator) -> String {
        let directory = directories.randomElement(using: &generator)!
        let name =
            generator.chance(0.15)
            ? ["x", "y"].randomElement(using: &generator)!
            : names.randomElement(using: &generator)!
        return directory.isEmpty ? name : directory + "/" + name
    }

    /// A path that names something, mostly.
    private func known(_ model: PosixModel, using generator: inout SeededGenerator) -> String {
        if generator.chance(0.7),
            let path = model.paths.values.sorted().randomElement(
                using: &generator)
        {
            return path
        }
        return path(using: &generator)
    }

    private func offset(_ size: Int, using generator: inout SeededGenerator) -> Int64 {
        switch Int.random(in: 0..<10, using: &generator) {
        case 0: return 0
        case 1..<4: return Int64(size)
        case 4..<8: return Int64.random(in: 0...Int64(max(size, 1)), using: &generator)
        case 8:
            let border = borders.randomElement(using: &generator)!
            return Int64(max(0, border + Int.random(in: -2...2, using: &generator)))
        default: return Int64.random(in: 0...Int64(largest / 2), using: &generator)
        }
    }

    private func size(using generator: inout SeededGenerator) -> Int {
        switch Int.random(in: 0..<10, using: &generator) {
        case 0..<5: return Int.random(in: 1...3000, using: &generator)
        case 5..<7:
            let border = borders.randomElement(using: &generator)!
            return max(1, border + Int.random(in: -1...1, using: &generator))
        default: return Int.random(in: 1...largest / 3, using: &generator)
        }
    }

    /// The next step of a program, knowing how things are.
    func step(_ model: PosixModel, using generator: inout SeededGenerator) -> FileStep {
        let open = model.handles.keys.sorted()
        let slot = open.randomElement(using: &generator)
        if let slot, generator.chance(0.62) {
            return step(of: slot, model, using: &generator)
        }
        if let free = slots.first(where: { model.handles[$0] == nil }), generator.chance(0.45) {
            return opening(free, model, using: &generator)
        }
        return namesStep(model, using: &generator)
    }

    /// A step that opens a file: known or new, emptied or not.
    func opening(
        _ slot: Int, _ model: PosixModel, using generator: inout SeededGenerator
    ) -> FileStep {
        let path =
            generator.chance(0.5) ? path(using: &generator) : known(model, using: &generator)
        var flags = [O_RDWR, O_RDWR, O_WRONLY, O_RDONLY].randomElement(using: &generator)!
        if flags != O_RDONLY {
            if generator.chance(0.7) { flags |= O_CREAT }
            if generator.chance(0.15) { flags |= O_CREAT | O_EXCL }
            if generator.chance(0.3) { flags |= O_TRUNC }
            if generator.chance(0.2) { flags |= O_APPEND }
        } else if let found = try? model.follow(path), model.inodes[found]?.kind == .directory {
            // A directory opened for reading is another thing.
            flags = O_RDWR
        }
        let permissions: UInt16 = [0o644, 0o600, 0o755].randomElement(using: &generator)!
        return .open(slot: slot, path: path, flags: flags, permissions: permissions)
    }

    private func step(
        of slot: Int, _ model: PosixModel, using generator: inout SeededGenerator
    ) -> FileStep {
        let handle = model.handles[slot]!
        let count = model.inodes[handle.inode]!.bytes.count
        let offset = offset(count, using: &generator)
        switch Int.random(in: 0..<100, using: &generator) {
        case 0..<40:
            let limit = largest - (handle.flags & O_APPEND != 0 ? count : Int(offset))
            let size = max(0, min(size(using: &generator), limit))
            return .write(slot: slot, offset: offset, bytes: generator.bytes(size))
        case 40..<62:
            let size = [100, 5000, 1 << 17].randomElement(using: &generator)!
            return .read(slot: slot, offset: offset, size: size)
        case 62..<70: return .truncateOpen(slot: slot, size: offset)
        case 70..<74: return .status(slot: slot)
        case 74..<78:
            let length = Int64(size(using: &generator))
            guard offset + length < largest else { return .status(slot: slot) }
            let mode = [0, 1, 3, 3].randomElement(using: &generator)! as Int32
            return .allocate(slot: slot, mode: mode, offset: offset, length: length)
        case 78..<81:
            return .seek(
                slot: slot, offset: offset, whence: Bool.random(using: &generator) ? 3 : 4)
        case 81..<86: return .synchronize(slot: slot)
        case 86..<89: return .closeDuplicate(slot: slot)
        default: return .close(slot: slot)
        }
    }

    private func namesStep(
        _ model: PosixModel, using generator: inout SeededGenerator
    ) -> FileStep {
        let path = path(using: &generator)
        let known = known(model, using: &generator)
        switch Int.random(in: 0..<100, using: &generator) {
        case 0..<18:
            let directories = directories.filter { !$0.isEmpty }
            return .makeDirectory(
                path: generator.chance(0.8) ? directories.randomElement(using: &generator)! : path,
                permissions: 0o755)
        case 18..<26: return .removeDirectory(path: known)
        case 26..<40: return .unlink(path: known)
        case 40..<58:
            let target = generator.chance(0.5) ? path : self.known(model, using: &generator)
            return .rename(from: known, to: target, noReplace: generator.chance(0.2))
        case 58..<62:
            return .link(
                target: "nowhere/\(Int.random(in: 0..<100, using: &generator))", path: path)
        case 62..<65: return .readLink(path: known)
        case 65..<73: return .look(path: known)
        case 73..<80:
            let directory = directories.randomElement(using: &generator)!
            return .names(path: directory)
        case 80..<86:
            return .truncate(path: known, size: offset(largest / 4, using: &generator))
        case 86..<93:
            return .changePermissions(
                path: known, [0o600, 0o640, 0o755].randomElement(using: &generator)!)
        default:
            let seconds = Int64.random(in: 1_000_000_000..<1_600_000_000, using: &generator)
            return .setTime(
                path: known, seconds * 1_000_000_000 + (generator.chance(0.3) ? 123_456_789 : 0))
        }
    }
}
