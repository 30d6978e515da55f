// The inodes in use: those the kernel has looked up and not forgotten, and directories with state.
//
// An inode is a small record that says where its entry is (directory, listing, position). Records
// lie in one array, found through an open-addressing hash of 4-byte slots: about 45 bytes an inode.
// Numbers are given by the caller and never reused. Locks nothing; lives under the namespace's
// lock.

import Operations

/// What is kept for an inode in use.
struct Inode {
    var number: InodeNumber
    /// The directory that holds its entry; 0 for the root.
    var parent: InodeNumber
    /// Lookups the kernel has not forgotten.
    var lookups: UInt64 = 0
    /// Which of the parent's listings holds the entry, and where.
    var listing: UInt32
    var entry: UInt32
}

/// Inodes by number.
struct InodeTable {
    private var records: ChunkedArray<Inode> = ChunkedArray()
    private var free: [UInt32] = []
    /// 0 is empty, else a record's position + 1. A power of two, at most three quarters full.
    private var slots: [UInt32] = Array(repeating: 0, count: 16)
    private(set) var count = 0

    /// Bytes of memory held.
    var bytes: Int { records.bytes + slots.capacity * 4 + free.capacity * 4 }

    private func home(_ number: InodeNumber) -> Int {
        Int(truncatingIfNeeded: (number &* 0x9E37_79B9_7F4A_7C15) >> 20) & (slots.count - 1)
    }

    private func slot(of number: InodeNumber) -> Int? {
        var slot = home(number)
        while slots[slot] != 0 {
            if records[Int(slots[slot]) - 1].number == number { return slot }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    /// The inode, when it is in use. Setting changes it in place; it must be in use.
    subscript(number: InodeNumber) -> Inode? {
        guard let slot = slot(of: number) else { return nil }
        return records[Int(slots[slot]) - 1]
    }

    /// Changes an inode in place; does nothing when it is not in use.
    mutating func update(_ number: InodeNumber, _ change: (inout Inode) -> Void) {
        guard let slot = slot(of: number) else { return }
        change(&records[Int(slots[slot]) - 1])
    }

    /// Adds an inode that is not in the table.
    mutating func insert(_ inode: Inode) {
        if (count + 1) * 4 > slots.count * 3 { rebuild(slots: slots.count * 2) }
        let position: Int
        if let reused = free.popLast() {
            position = Int(reused)
            records[position] = inode
        } else {
            position = records.count
            records.append(inode)
        }
        place(inode.number, UInt32(position) + 1)
        count += 1
    }

    /// Takes an inode out.
    mutating func remove(_ number: InodeNumber) {
        guard var hole = slot(of: number) else { return }
        free.append(slots[hole] - 1)
        slots[hole] = 0
        count -= 1
        // Close the gap: pull back what was displaced over the hole.
        let mask = slots.count - 1
        var next = (hole + 1) & mask
        while slots[next] != 0 {
            let wanted = home(records[Int(slots[next]) - 1].number)
            if (next - wanted) & mask >= (next - hole) & mask {
                slots[hole] = slots[next]
                slots[next] = 0
                hole = next
            }
            next = (next + 1) & mask
        }
        if records.count > 1024, count * 8 < records.count { compact() }
    }

    private mutating func place(_ number: InodeNumber, _ value: UInt32) {
        var slot = home(number)
        while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = value
    }

    private mutating func rebuild(slots size: Int) {
        let old = slots
        slots = Array(repeating: 0, count: size)
        for value in old where value != 0 { place(records[Int(value) - 1].number, value) }
    }

    /// Gives memory back after most inodes were forgotten.
    private mutating func compact() {
        let live = slots.filter { $0 != 0 }.map { records[Int($0) - 1] }
        var size = 16
        while live.count * 2 > size { size *= 2 }
        self = InodeTable()
        slots = Array(repeating: 0, count: size)
        for inode in live { insert(inode) }
    }
}
