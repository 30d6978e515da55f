// The bytes of a file with holes, in pages.

/// Bytes up to `size`; pages that were never written are holes and read as zeros.
struct SparseBytes {
    static let page = 4096

    private(set) var size = 0
    private var pages: [Int: [UInt8]] = [:]

    /// Within the file only.
    func bytes(_ range: Range<Int>) -> [UInt8] {
        let range = range.clamped(to: 0..<size)
        var result: [UInt8] = []
        result.reserveCapacity(range.count)
        var at = range.lowerBound
        while at < range.upperBound {
            let within = at % Self.page
            let count = min(Self.page - within, range.upperBound - at)
            if let page = pages[at / Self.page] {
                result += page[within..<within + count]
            } else {
                result += repeatElement(0, count: count)
            }
            at += count
        }
        return result
    }

    mutating func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        each(offset..<offset + bytes.count) { page, within, done in
            page.replaceSubrange(within, with: bytes[done..<done + within.count])
        }
        size = max(size, offset + bytes.count)
    }

    /// Cuts, or grows with a hole.
    mutating func resize(_ newSize: Int) {
        if newSize < size { punch(newSize..<size) }
        size = newSize
    }

    /// Makes a hole of whole pages and writes zeros beside them.
    mutating func punch(_ range: Range<Int>) {
        let range = range.clamped(to: 0..<max(size, 0))
        for number in pages.keys {
            let start = number * Self.page
            let hit = range.clamped(to: start..<start + Self.page)
            if hit.count == Self.page {
                pages[number] = nil
            } else if !hit.isEmpty {
                let zeros = repeatElement(UInt8(0), count: hit.count)
                pages[number]!.replaceSubrange(
                    hit.lowerBound - start..<hit.upperBound - start, with: zeros)
            }
        }
    }

    /// Gives every page of the range its own memory.
    mutating func allocate(_ range: Range<Int>, keepSize: Bool) {
        each(range) { _, _, _ in }
        if !keepSize { size = max(size, range.upperBound) }
    }

    /// Where data (or a hole) begins from `offset` on; the end of the file is a hole.
    func next(hole: Bool, from offset: Int) -> Int? {
        guard offset >= 0, offset < size else { return nil }
        var at = offset
        while at < size, (pages[at / Self.page] == nil) != hole {
            at = (at / Self.page + 1) * Self.page
        }
        if at < size { return at }
        return hole ? size : nil
    }

    private mutating func each(
        _ range: Range<Int>, _ change: (inout [UInt8], Range<Int>, _ done: Int) -> Void
    ) {
        var at = range.lowerBound
        while at < range.upperBound {
            let within = at % Self.page
            let count = min(Self.page - within, range.upperBound - at)
            change(
                &pages[at / Self.page, default: Array(repeating: 0, count: Self.page)],
                within..<within + count, at - range.lowerBound)
            at += count
        }
    }
}
