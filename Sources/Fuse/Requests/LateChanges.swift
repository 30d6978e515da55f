// What the kernel must forget after a change that it was told had failed.
//
// A process that dies while a change is under way is answered EINTR, and the kernel goes on believing
// what it knew: that a name is missing which is being made, that a page has the bytes that are being
// replaced. It may ask again before the change is done, and keep that answer, too. When the change is
// done after all, exactly what it touched is invalidated. Only queues (Notifier); takes no lock.

internal import Operations

/// Invalidations on behalf of changes whose requests were answered before they were done.
enum LateChanges {
    /// A name was made, removed or replaced; and with it what the directory's listing says.
    static func forget(_ request: Request, _ parent: InodeNumber, _ name: [UInt8]) {
        request.core.notifier.invalidate(parent: parent, name: name)
    }

    /// Bytes of a file have changed, and its attributes with them.
    ///
    /// - Parameter length: in bytes; 0 is everything from `offset` on.
    static func forget(
        _ request: Request, _ inode: InodeNumber, _ offset: Int64, _ length: Int64
    ) {
        request.core.notifier.invalidate(inode, offset: offset, length: length)
    }

    /// Attributes have changed, but no bytes.
    static func forgetAttributes(_ request: Request, _ inode: InodeNumber) {
        request.core.notifier.invalidate(inode, offset: -1, length: 0)
    }
}
