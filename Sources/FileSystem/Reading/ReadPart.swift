/// Where the bytes of one stretch of a read come from. A stretch never crosses a block.
enum ReadPart {
    /// A segment in memory, complete or being filled; it is pinned while a read holds the part.
    case memory(Segment, range: Range<Int64>)
    /// Chunks in the block store.
    case disk(block: Int, chunks: Range<Int>, range: Range<Int64>)
    /// Chunks that are nowhere near.
    case missing(block: Int, chunks: Range<Int>, range: Range<Int64>)

    /// The bytes of the read that this part serves.
    var range: Range<Int64> {
        switch self {
        case .memory(_, let range), .disk(_, _, let range), .missing(_, _, let range): range
        }
    }

    /// Bytes of buffer the part needs before it can be served; 0 when it has its memory.
    var bytesNeeded: Int {
        switch self {
        case .memory: 0
        case .disk(_, let chunks, _), .missing(_, let chunks, _):
            chunks.count * Int(BlockRange.chunkSize)
        }
    }
}
