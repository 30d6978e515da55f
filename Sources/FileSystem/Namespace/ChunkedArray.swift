// An array that grows without copying what it has, and without slack beyond one chunk.
//
// A plain array doubles: while it grows, old and new storage exist at once, and up to half of it
// stays unused. Listings of 100,000 names are many megabytes, so they grow chunk by chunk; the
// first chunk is an ordinary array, so that a small listing is small.

/// Fixed-size records by position. Never shrinks but by `removeAll`.
struct ChunkedArray<Element> {
    private static var chunk: Int { 512 }
    private var chunks: [ContiguousArray<Element>] = []
    private(set) var count = 0

    /// Bytes of memory held.
    var bytes: Int {
        chunks.reduce(0) { $0 + $1.capacity * MemoryLayout<Element>.stride + 32 }
    }

    subscript(position: Int) -> Element {
        _read { yield chunks[position / Self.chunk][position % Self.chunk] }
        _modify { yield &chunks[position / Self.chunk][position % Self.chunk] }
    }

    mutating func append(_ element: Element) {
        if count % Self.chunk == 0 {
            var fresh = ContiguousArray<Element>()
            if count > 0 { fresh.reserveCapacity(Self.chunk) }
            chunks.append(fresh)
        }
        chunks[chunks.count - 1].append(element)
        count += 1
    }

    /// Gives back the last chunk's unused room.
    mutating func trim() {
        guard let last = chunks.last, last.capacity > last.count + 8 else { return }
        var exact = ContiguousArray<Element>()
        exact.reserveCapacity(last.count)
        exact.append(contentsOf: last)
        chunks[chunks.count - 1] = exact
    }

    mutating func removeAll() {
        chunks = []
        count = 0
    }
}
