// What is known of one directory's names: a complete listing, one that is still being fetched, or a
// few names looked up one by one.
//
// Names lie end to end in one byte arena, records in one chunked array, and a hash of 4-byte slots
// finds a name. Records are only appended and changed in place, so a position in a listing stays
// true as long as the listing lives: that is what d_off counts. Not Sendable; under the namespace's
// lock.

import Glibc
import Operations
import S3

/// The names of a directory, in order.
final class Listing {
    /// Distinguishes listings of one directory.
    let id: UInt32
    var entries = ChunkedArray<Entry>()
    private var names: [UInt8] = []
    /// Unusual ETags of this listing.
    var texts: [String] = []
    /// Every name of the directory is here.
    var isComplete = false
    /// When it was completed (or given up); nil while pages are coming.
    var finishedAt: Duration?
    /// Why it was given up.
    var failure: StoreError?
    /// A name may be missing: the next reader lists anew.
    var isDoubted = false
    var pages = 0
    /// Entries in the inode table.
    var held = 0
    /// Entries that are part of the order.
    var listed = 0
    /// Records that got details, roughly.
    var detailed = 0
    /// Records that are neither listed nor held any more.
    var waste = 0

    private var slots: [UInt32] = []

    init(id: UInt32) { self.id = id }

    /// Bytes of memory held.
    var bytes: Int {
        256 + entries.bytes + names.capacity + slots.capacity * 4 + texts.count * 64
            + detailed * Details.cost
    }

    var count: Int { entries.count }

    /// A name's bytes.
    func name(_ position: Int) -> ArraySlice<UInt8> {
        let entry = entries[position]
        return names[Int(entry.nameStart)..<Int(entry.nameStart) + Int(entry.nameCount)]
    }

    /// The newest record of a name, also when it is gone; nil when it was never seen here.
    func find(_ name: some RandomAccessCollection<UInt8>) -> Int? {
        guard !slots.isEmpty else { return nil }
        let slot = slot(of: name)
        return slots[slot] == 0 ? nil : Int(slots[slot]) - 1
    }

    /// The slot that holds a name, or the empty one where it would be.
    private func slot(of name: some RandomAccessCollection<UInt8>) -> Int {
        let start = Self.hash(name) & (slots.count - 1)
        let found = name.withContiguousStorageIfAvailable { unsafe slot(of: $0, from: start) }
        if let found { return found }
        return unsafe Array(name).withUnsafeBufferPointer { unsafe slot(of: $0, from: start) }
    }

    private func slot(of name: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        var slot = start
        while slots[slot] != 0, unsafe !isNamed(Int(slots[slot]) - 1, name) {
            slot = (slot + 1) & (slots.count - 1)
        }
        return slot
    }

    private func isNamed(_ position: Int, _ name: UnsafeBufferPointer<UInt8>) -> Bool {
        guard Int(entries[position].nameCount) == name.count, let bytes = name.baseAddress else {
            return name.isEmpty && entries[position].nameCount == 0
        }
        let start = Int(entries[position].nameStart)
        return unsafe names.withUnsafeBufferPointer {
            unsafe memcmp($0.baseAddress! + start, bytes, name.count) == 0
        }
    }

    /// Appends a record under a name; a record of that name that was here is no longer found.
    ///
    /// - Parameter findable: false keeps an older record of the name in place.
    @discardableResult
    func append(
        _ entry: Entry, name: some RandomAccessCollection<UInt8>, findable: Bool = true
    ) -> Int {
        var entry = entry
        entry.nameStart = UInt32(names.count)
        entry.nameCount = UInt8(name.count)
        names.append(contentsOf: name)
        let position = entries.count
        entries.append(entry)
        if !entry.flags.contains(.single) { listed += 1 }
        if findable { index(position) }
        return position
    }

    /// Gives back unused room once nothing more is expected.
    func trim() {
        entries.trim()
        if names.capacity > names.count + names.count / 8 + 64 {
            var exact: [UInt8] = []
            exact.reserveCapacity(names.count)
            exact.append(contentsOf: names)
            names = exact
        }
    }

    private static func hash(_ name: some RandomAccessCollection<UInt8>) -> Int {
        // SipHash, seeded per process: keys are other people's input.
        var hasher = Hasher()
        if name.withContiguousStorageIfAvailable({ bytes in
            unsafe hasher.combine(bytes: UnsafeRawBufferPointer(bytes))
        }) == nil {
            for byte in name { hasher.combine(byte) }
        }
        return hasher.finalize()
    }

    private func index(_ position: Int) {
        // Half full at most: names that are not here are looked for more often than those that are.
        if entries.count * 2 > slots.count {
            var size = max(8, slots.count)
            while entries.count * 2 > size { size *= 2 }
            let old = slots
            slots = Array(repeating: 0, count: size)
            for value in old where value != 0 { place(Int(value) - 1) }
        }
        place(position)
    }

    private func place(_ position: Int) {
        slots[slot(of: name(position))] = UInt32(position) + 1
    }
}
