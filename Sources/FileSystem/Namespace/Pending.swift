import Operations
import S3

extension NamespaceState {
    mutating func resolve(_ p: InodeNumber, _ n: [UInt8], pinning: Bool, completion: @escaping @Sendable (Result<Occupant, Errno>) -> Void) { fatalError() }
    mutating func newKey(_ p: InodeNumber, _ n: [UInt8], directory: Bool) -> Result<ObjectKey, Errno> { fatalError() }
    func key(of inode: InodeNumber) -> ObjectKey? { fatalError() }
    func shownPath(of inode: InodeNumber) -> String { fatalError() }
    func parentAndName(of inode: InodeNumber) -> NamePlace? { fatalError() }
    func knownAttributes(of inode: InodeNumber) -> FileAttributes? { fatalError() }
    mutating func add(_ p: InodeNumber, _ n: [UInt8], _ r: LocalRecord, holding: Bool, at: Int64) -> FileAttributes? { fatalError() }
    mutating func change(_ i: InodeNumber, _ c: @Sendable (inout LocalRecord) -> Void) -> FileAttributes? { fatalError() }
    mutating func published(_ i: InodeNumber, _ v: ObjectVersion, settles: Bool) { fatalError() }
    mutating func settle(_ p: InodeNumber, _ n: [UInt8]) { fatalError() }
    mutating func withdraw(_ p: InodeNumber, _ n: [UInt8]) { fatalError() }
    mutating func remove(_ p: InodeNumber, _ n: [UInt8], at: Int64) -> InodeNumber? { fatalError() }
    mutating func move(_ p: InodeNumber, _ n: [UInt8], _ np: InodeNumber, _ nn: [UInt8], at: Int64) -> Result<Moved, Errno> { fatalError() }
    mutating func pin(_ i: InodeNumber) { fatalError() }
    mutating func unpin(_ i: InodeNumber) { fatalError() }
    mutating func contents(of d: InodeNumber) -> DirectoryContents? { fatalError() }
    func marker(of d: InodeNumber) -> MarkerState { fatalError() }
    func isSettled(_ d: InodeNumber) -> Bool { fatalError() }
}
