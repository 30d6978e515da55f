// Where each byte of a file that is being written is: a map from ranges to sources.
//
// Random writes make hundreds of thousands of extents, so the map is cut into regions of 16 MiB,
// each a short sorted list: a change touches one or two of them. Pure; locks nothing.

/// The sources of a file's bytes.
struct ExtentMap: Equatable {
    /// Where bytes are.
    enum Source: UInt8, Codable {
        /// Nowhere: they are zeros.
        case hole
        /// In the published version that the file is built on, at the same offset.
        case base
        /// In the staged file, the same as in the published version.
        case clean
        /// In the staged file only.
        case dirty
        /// In a part that was uploaded and not published yet, no longer here.
        case sent
    }

    /// A run of one source.
    struct Extent: Equatable {
        var range: Range<Int64>
        var source: Source
    }

    private static let regionSize: Int64 = 16 << 20

    /// Bytes of the file.
    private(set) var size: Int64
    /// Extents of each region, sorted, without gaps from the region's start to its end; an empty
    /// list is one hole. What lies past `size` is a hole.
    private var regions: [[Extent]] = []

    /// - Parameter source: of all bytes.
    init(size: Int64 = 0, source: Source = .hole) {
        self.size = size
        if source != .hole, size > 0 { set(0..<size, source) }
    }

    /// Gives a range a source; a file that is shorter grows, what lies between is a hole.
    mutating func set(_ range: Range<Int64>, _ source: Source) {
        guard !range.isEmpty else { return }
        size = max(size, range.upperBound)
        let last = Int((range.upperBound - 1) / Self.regionSize)
        if regions.count <= last {
            regions.append(contentsOf: Array(repeating: [], count: last + 1 - regions.count))
        }
        for index in Int(range.lowerBound / Self.regionSize)...last {
            let region = Self.region(index)
            Self.replace(range.clamped(to: region), source, region, in: &regions[index])
        }
    }

    /// Cuts off, or grows by a hole.
    mutating func truncate(to newSize: Int64) {
        if newSize < size {
            let end = size
            let kept = Int((newSize + Self.regionSize - 1) / Self.regionSize)
            if kept < regions.count { regions.removeLast(regions.count - kept) }
            if kept > 0, kept <= regions.count {
                let region = Self.region(kept - 1)
                let cut = (newSize..<max(newSize, end)).clamped(to: region)
                if !cut.isEmpty { Self.replace(cut, .hole, region, in: &regions[kept - 1]) }
            }
        }
        size = newSize
    }

    /// The runs of a range in order, cut to it and to the size.
    func extents(in range: Range<Int64>) -> [Extent] {
        let range = range.clamped(to: 0..<max(size, 0))
        guard !range.isEmpty else { return [] }
        var found: [Extent] = []
        func append(_ range: Range<Int64>, _ source: Source) {
            if let last = found.last, last.source == source,
                last.range.upperBound == range.lowerBound
            {
                found[found.count - 1].range = last.range.lowerBound..<range.upperBound
            } else {
                found.append(Extent(range: range, source: source))
            }
        }
        let last = Int((range.upperBound - 1) / Self.regionSize)
        for index in Int(range.lowerBound / Self.regionSize)...last {
            let wanted = range.clamped(to: Self.region(index))
            guard index < regions.count, !regions[index].isEmpty else {
                append(wanted, .hole)
                continue
            }
            let list = regions[index]
            var position = Self.first(in: list, endingAfter: wanted.lowerBound)
            while position < list.count, list[position].range.lowerBound < wanted.upperBound {
                append(list[position].range.clamped(to: wanted), list[position].source)
                position += 1
            }
        }
        return found
    }

    /// Bytes of a range that have one of the sources.
    func bytes(_ sources: Set<Source>, in range: Range<Int64>) -> Int64 {
        extents(in: range).reduce(0) { sum, extent in
            sum + (sources.contains(extent.source) ? Int64(extent.range.count) : 0)
        }
    }

    /// True when a non-empty range lies within the file and has only these sources.
    func consists(_ range: Range<Int64>, of sources: Set<Source>) -> Bool {
        guard range.upperBound <= size else { return false }
        return extents(in: range).allSatisfy { sources.contains($0.source) }
    }

    /// True when any byte of the file has one of the sources.
    func contains(_ sources: Set<Source>) -> Bool {
        regions.contains { $0.contains { sources.contains($0.source) } }
    }

    /// Gives every byte that has one source another.
    mutating func replaceAll(_ old: Source, with new: Source) {
        for extent in extents(in: 0..<size) where extent.source == old { set(extent.range, new) }
    }

    // MARK: Regions

    private static func region(_ index: Int) -> Range<Int64> {
        Int64(index) * regionSize..<Int64(index + 1) * regionSize
    }

    private static func first(in list: [Extent], endingAfter offset: Int64) -> Int {
        var low = 0
        var high = list.count
        while low < high {
            let middle = (low + high) / 2
            if list[middle].range.upperBound <= offset { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private static func replace(
        _ range: Range<Int64>, _ source: Source, _ region: Range<Int64>, in list: inout [Extent]
    ) {
        if list.isEmpty {
            if source == .hole { return }
            list = [Extent(range: region, source: .hole)]
        }
        let first = first(in: list, endingAfter: range.lowerBound)
        var last = first
        while last < list.count, list[last].range.lowerBound < range.upperBound { last += 1 }
        var new: [Extent] = []
        func append(_ range: Range<Int64>, _ source: Source) {
            if range.isEmpty { return }
            if let previous = new.last, previous.source == source {
                new[new.count - 1].range = previous.range.lowerBound..<range.upperBound
            } else {
                new.append(Extent(range: range, source: source))
            }
        }
        // The neighbours too, so that equal ones grow together.
        let from = max(first - 1, 0)
        let to = min(last + 1, list.count)
        for extent in list[from..<first] { append(extent.range, extent.source) }
        append(list[first].range.lowerBound..<range.lowerBound, list[first].source)
        append(range, source)
        append(range.upperBound..<list[last - 1].range.upperBound, list[last - 1].source)
        for extent in list[last..<to] { append(extent.range, extent.source) }
        list.replaceSubrange(from..<to, with: new)
    }
}
