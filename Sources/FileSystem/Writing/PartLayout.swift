// How a large file is cut into the parts of a multipart upload.
//
// A file that is written from its start has no known size. Parts double every 1,000 numbers, so
// that small files get parts of 8 MiB and 10,000 of them hold 5 TiB:
// 8 MiB * 1,000 * (2^10 - 1) = 7.8 TiB. Pure.

import S3

/// The ranges of the parts of one upload.
struct PartLayout: Hashable {
    /// Bytes of the first parts.
    let first: Int64
    /// True when all parts have one size.
    let isFixed: Bool

    private static let step = 1000

    /// - Parameter first: bytes, 5 MiB at least.
    init(first: Int64, isFixed: Bool = false) {
        self.first = first
        self.isFixed = isFixed
    }

    /// The range of a part, from number 1 on.
    func range(of number: Int) -> Range<Int64> {
        if isFixed { return first * Int64(number - 1)..<first * Int64(number) }
        let tier = (number - 1) / Self.step
        let size = first << Int64(tier)
        let start = first * Int64(Self.step) * ((1 << Int64(tier)) - 1)
        let offset = start + size * Int64((number - 1) % Self.step)
        return offset..<offset + size
    }

    /// The part that a byte belongs to.
    func number(containing offset: Int64) -> Int {
        if isFixed { return Int(offset / first) + 1 }
        var tier = 0
        var start: Int64 = 0
        while true {
            let size = first << Int64(tier)
            let end = start + size * Int64(Self.step)
            if offset < end { return tier * Self.step + Int((offset - start) / size) + 1 }
            start = end
            tier += 1
        }
    }

    /// The part numbers that a file of `size` bytes has; at least one.
    func numbers(size: Int64) -> ClosedRange<Int> {
        1...(size > 0 ? number(containing: size - 1) : 1)
    }

    /// The largest file that fits.
    var largestFile: Int64 {
        min(UploadLimits.largestObject, range(of: UploadLimits.parts).upperBound)
    }

    /// The layout that an edit of a large object is uploaded in: small parts, as every touched one is
    /// sent whole.
    ///
    /// - Parameters:
    ///   - size: bytes after the edit.
    ///   - smallest: bytes; the least that the server takes.
    static func forEdit(size: Int64, smallest: Int64 = UploadLimits.smallestPart) -> PartLayout {
        let layout = PartLayout(first: smallest)
        return size <= layout.range(of: UploadLimits.parts).upperBound
            ? layout : PartLayout(first: smallest * 2)
    }
}
