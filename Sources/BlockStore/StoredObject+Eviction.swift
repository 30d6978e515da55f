// Taking blocks of an object away to make room.

import CPlatform
import Glibc
import Synchronization

extension StoredObject {
    /// Takes the blocks away that were not used for longest, until `goal` bytes are free.
    ///
    /// - Returns: bytes freed on disk.
    func evictBlocks(_ goal: Int64) -> Int64 {
        disk.withLock { _ in
            guard let files = openFiles(create: false), !files.isRemoved else { return 0 }
            let before = files.bytesOnDisk
            for run in Self.runs(choose(goal, files)) { take(run, files) }
            state.withLock { state in
                state.groups = state.groups.filter { !$0.value.isEmpty }
            }
            return max(0, before - files.bytesOnDisk)
        }
    }

    /// Removes neighbouring blocks: the bits first.
    private func take(_ run: Range<Int>, _ files: ObjectFiles) {
        state.withLock { state in
            for block in run {
                guard let (group, index) = find(block, state) else { continue }
                group.valid[index] = 0
            }
        }
        let nothing = [UInt8](repeating: 0, count: run.count * MapFormat.recordSize)
        writeRecords(run.lowerBound, nothing, files)
        let size = Int64(BlockGeometry.blockSize)
        _ = pail_punch_hole(files.data, Int64(run.lowerBound) * size, Int64(run.count) * size)
    }

    /// The blocks to take away, in ascending order.
    private func choose(_ goal: Int64, _ files: ObjectFiles) -> [Int] {
        var all: [(stamp: UInt32, block: Int, bytes: Int64)] = []
        for number in 0..<Self.groupCount(identity.size) {
            load(number, files)
            state.withLock { state in
                guard let group = state.groups[number] else { return }
                for (index, valid) in group.valid.enumerated() where valid != 0 {
                    all.append(
                        (
                            group.stamps[index], number * BlockGroup.blocks + index,
                            Int64(valid.nonzeroBitCount * BlockGeometry.chunkSize)
                        ))
                }
            }
        }
        all.sort { ($0.stamp, $0.block) < ($1.stamp, $1.block) }
        var sum: Int64 = 0
        var chosen: [Int] = []
        for candidate in all {
            guard sum < goal else { break }
            sum += candidate.bytes
            chosen.append(candidate.block)
        }
        return chosen.sorted()
    }

    private static func runs(_ blocks: [Int]) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        for block in blocks {
            if let last = runs.last, last.upperBound == block {
                runs[runs.count - 1] = last.lowerBound..<block + 1
            } else {
                runs.append(block..<block + 1)
            }
        }
        return runs
    }
}
