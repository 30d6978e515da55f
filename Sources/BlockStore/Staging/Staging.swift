// The staging area's face: files on the local disk that are not in the bucket yet, and the journal
// that says what they are. What is in it is never evicted.

/// Where written bytes wait until they are published. Methods may wait for the local disk.
public protocol StagingStorage: AnyObject, Sendable {
    /// A new, empty file.
    func makeFile() throws(StagingError) -> any StagedFile

    /// A file that an earlier life of the mount has left, by its name; nil when there is none.
    func file(named name: String) -> (any StagedFile)?

    /// Removes staged files that no record of the journal names: what a crash has left of files that
    /// nobody was told are safe. Call before any file is made.
    func removeOrphans(keeping names: Set<String>)

    /// Counts bytes that are about to be written against the limit.
    ///
    /// - Returns: false when there is no room now: `room` tells when to try again.
    func claim(_ bytes: Int64) -> Bool

    /// Counts the bytes of files that an earlier life has left, whatever the limit says.
    func claimPresent(_ bytes: Int64)

    /// Gives claimed bytes back: they were published, punched out or never written.
    func release(_ bytes: Int64)

    /// Calls `body` once, on any thread, when bytes were released since the last refused claim (at
    /// once if so already).
    func whenReleased(_ body: @escaping @Sendable () -> Void)

    /// Bytes claimed now, and the most that may be.
    var usage: (claimed: Int64, limit: Int64) { get }

    var journal: any Journal { get }
}

/// A sparse file in the staging area. Methods may be called from several threads; those that touch
/// the same bytes are the caller's to order.
public protocol StagedFile: AnyObject, Sendable {
    /// Names it for `StagingStorage.file(named:)`.
    var name: String { get }
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(StagingError)
    /// Fills `memory`; what was never written or lies past the end is zeros.
    func read(at offset: Int64, into memory: UnsafeMutableRawBufferPointer) throws(StagingError)
    /// Gives the disk back what a range holds; it reads as zeros then.
    func punch(_ range: Range<Int64>)
    /// Cuts off, or adds a hole.
    func truncate(to size: Int64) throws(StagingError)
    /// Returns when all that was written is on stable storage.
    func synchronize() throws(StagingError)
    /// Removes it from the disk. Reads by those who still have it go on; it is gone when they let go.
    func remove()
}

/// A small, crash-safe table: records by number, opaque here.
public protocol Journal: AnyObject, Sendable {
    /// Adds a record, or replaces it when `id` is given; returns its number, never used again.
    ///
    /// - Parameter durable: return only when it is on stable storage (survives power loss); without,
    ///   it survives the process. A durable write makes all earlier ones durable too.
    @discardableResult
    func put(_ record: [UInt8], id: Int64?, durable: Bool) throws(StagingError) -> Int64
    func remove(_ id: Int64) throws(StagingError)
    /// All records, by number ascending.
    func records() throws(StagingError) -> [(id: Int64, record: [UInt8])]
}

/// Why the staging area could not do it.
public enum StagingError: Error, Hashable, Sendable {
    /// The local disk is full (or its quota used up).
    case full
    /// Anything else, by errno.
    case failed(Int32)
}
