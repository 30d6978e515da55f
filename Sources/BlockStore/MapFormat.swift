// The .map file: who the object is, and per block which chunks are there with which checksum.
//
//     0      magic "pailmap1"
//     8      UInt32 format version
//     12     UInt32 CRC32C of the identity's bytes
//     16     Int64 size of the object
//     24     UInt32 x 3: bytes of store, key, etag
//     36     store, key, etag
//     2048 + 264 * block: UInt64 bitmap (bit i: chunk i is there), 64 x UInt32 CRC32C
//
//     4096   the data, when the object is small: it then has no .data file. Making and removing a
//            file is what small objects cost most.
//
// Little-endian. Read and written as records, never mapped: a file cut off underneath us then is a
// short read, not a SIGBUS. A record that never was written reads as zeros: nothing is there.

import CPlatform

/// What a .map file's bytes mean.
enum MapFormat {
    static let headerSize = 2048
    static let recordSize = 8 + 4 * BlockGeometry.chunksPerBlock
    /// Where a small object's data begins.
    static let smallDataOffset: Int64 = 4096
    /// Largest object, in bytes, whose data is in its map's file.
    private static let smallSize: Int64 = 512 << 10
    private static let version: UInt32 = 2
    private static let magic = Array("pailmap1".utf8)

    /// True when the map's file holds the data, too.
    static func isSmall(_ identity: ObjectIdentity) -> Bool { identity.size <= smallSize }

    /// Where a block's record begins.
    static func offset(ofBlock block: Int) -> Int64 {
        Int64(headerSize + recordSize * block)
    }

    /// Adds chunks with their checksums to the record at `start` of `bytes`.
    static func add(_ chunks: Range<Int>, _ sums: [UInt32], to bytes: inout [UInt8], at start: Int)
    {
        for (chunk, sum) in zip(chunks, sums) {
            bytes[start + chunk / 8] |= 1 << UInt8(chunk % 8)
            for byte in 0..<4 {
                bytes[start + 8 + 4 * chunk + byte] = UInt8(truncatingIfNeeded: sum >> (8 * byte))
            }
        }
    }

    /// The header for `identity`, or nil when it does not fit (keys have at most 1,024 bytes).
    static func header(_ identity: ObjectIdentity) -> [UInt8]? {
        let store = Array(identity.store.utf8)
        let etag = Array(identity.etag.utf8)
        let text = store + identity.key + etag
        guard text.count <= headerSize - 36 else { return nil }
        var bytes = magic
        append(version, to: &bytes)
        append(checksum(text), to: &bytes)
        append(identity.size, to: &bytes)
        append(UInt32(store.count), to: &bytes)
        append(UInt32(identity.key.count), to: &bytes)
        append(UInt32(etag.count), to: &bytes)
        return bytes + text
    }

    /// Whose map this is, or nil when it is no whole header of this version.
    static func identity(inHeader bytes: [UInt8]) -> ObjectIdentity? {
        guard bytes.count >= 36, Array(bytes[0..<8]) == magic,
            integer(UInt32.self, bytes, 8) == version
        else { return nil }
        let size = integer(Int64.self, bytes, 16)
        let lengths = [24, 28, 32].map { Int(integer(UInt32.self, bytes, $0)) }
        let end = 36 + lengths[0] + lengths[1] + lengths[2]
        guard size >= 0, end <= bytes.count, end <= headerSize else { return nil }
        let text = Array(bytes[36..<end])
        guard checksum(text) == integer(UInt32.self, bytes, 12) else { return nil }
        let key = lengths[0]..<lengths[0] + lengths[1]
        return ObjectIdentity(
            store: String(decoding: text[..<key.lowerBound], as: UTF8.self),
            key: Array(text[key]),
            etag: String(decoding: text[key.upperBound...], as: UTF8.self), size: size)
    }

    private static func checksum(_ bytes: [UInt8]) -> UInt32 {
        unsafe bytes.withUnsafeBytes { unsafe pail_crc32c(0, $0.baseAddress, $0.count) }
    }

    private static func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
        var rest = value
        for _ in 0..<(value.bitWidth / 8) {
            bytes.append(UInt8(truncatingIfNeeded: rest))
            rest >>= 8
        }
    }

    static func integer<T: FixedWidthInteger>(_: T.Type, _ bytes: [UInt8], _ at: Int) -> T {
        var value: T = 0
        for index in (0..<T.bitWidth / 8).reversed() {
            value = value << 8 | T(truncatingIfNeeded: bytes[at + index])
        }
        return value
    }
}

/// The records of up to 256 neighbouring blocks, in memory while their object is in use.
/// Guarded by its object's `state` once it is there; before, by whoever made it.
final class BlockGroup: @unchecked Sendable {
    static let blocks = 256

    /// Bit i: chunk i is on disk.
    var valid: [UInt64]
    /// 64 a block.
    var checksums: [UInt32]
    /// When a block was last used, by the object's own count; 0: not in this process.
    var stamps: [UInt32]

    init(blocks: Int) {
        valid = Array(repeating: 0, count: blocks)
        checksums = Array(repeating: 0, count: blocks * BlockGeometry.chunksPerBlock)
        stamps = Array(repeating: 0, count: blocks)
    }

    /// True when no block of it is on disk.
    var isEmpty: Bool { valid.allSatisfy { $0 == 0 } }

    /// Takes a block over from another group.
    func copy(_ index: Int, from other: BlockGroup, _ otherIndex: Int) {
        valid[index] = other.valid[otherIndex]
        let count = BlockGeometry.chunksPerBlock
        for chunk in 0..<count {
            checksums[index * count + chunk] = other.checksums[otherIndex * count + chunk]
        }
    }

    /// Takes over a record's bytes at `offset` of `bytes`; `allowed`: the chunks that the block has.
    func take(_ bytes: [UInt8], at offset: Int, index: Int, allowed: UInt64) {
        valid[index] = MapFormat.integer(UInt64.self, bytes, offset) & allowed
        guard valid[index] != 0 else { return }
        for chunk in 0..<BlockGeometry.chunksPerBlock {
            checksums[index * BlockGeometry.chunksPerBlock + chunk] = MapFormat.integer(
                UInt32.self, bytes, offset + 8 + 4 * chunk)
        }
    }

    /// The record as the file holds it.
    func record(_ index: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(MapFormat.recordSize)
        for byte in 0..<8 {
            bytes.append(UInt8(truncatingIfNeeded: valid[index] >> (8 * UInt64(byte))))
        }
        for chunk in 0..<BlockGeometry.chunksPerBlock {
            let value = checksums[index * BlockGeometry.chunksPerBlock + chunk]
            for byte in 0..<4 {
                bytes.append(UInt8(truncatingIfNeeded: value >> (8 * UInt32(byte))))
            }
        }
        return bytes
    }
}
