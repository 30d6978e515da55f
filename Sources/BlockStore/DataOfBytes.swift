// Bytes as SQLite's blobs; the only place where the block store meets Foundation.

import Foundation

/// A blob argument or column.
struct DataOfBytes {
    let value: Data

    init(_ bytes: [UInt8]) { value = Data(bytes) }

    static func bytes(_ data: Data) -> [UInt8] { [UInt8](data) }
}
