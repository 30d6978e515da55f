// An open file: one object version, pinned, and the streams that read it.

import Operations
import S3

/// What stands behind a handle number.
final class FileHandle: Sendable {
    let inode: InodeNumber
    let content: ObjectContent
    private let context: ReadContext
    private let prefetcher: Prefetcher
    private let onFailure: @Sendable (StoreError) -> Void

    /// - Parameters:
    ///   - content: opened for this handle; `close` closes it.
    ///   - onFailure: told of every read that fails.
    init(
        inode: InodeNumber, content: ObjectContent, context: ReadContext,
        onFailure: @escaping @Sendable (StoreError) -> Void
    ) {
        self.inode = inode
        self.content = content
        self.context = context
        self.onFailure = onFailure
        prefetcher = Prefetcher(context: context, content: content)
    }

    /// Reads, and fetches ahead of what is read.
    ///
    /// - Parameters:
    ///   - offset: bytes, not negative; at or past the end gives no bytes.
    ///   - size: bytes at most.
    func read(offset: Int64, size: Int, reply: Reply<ReadAnswer>) {
        guard offset < content.version.size, size > 0 else {
            reply.succeed(ReadAnswer(pieces: []))
            return
        }
        let end = min(offset + Int64(size), content.version.size)
        let operation = ReadOperation(
            context: context, content: content, range: offset..<end, reply: reply,
            onFailure: onFailure)
        // First what somebody waits for, then the guess.
        operation.start()
        prefetcher.advance(offset..<end)
    }

    /// Gives up guesses and lets the content go.
    func close() {
        prefetcher.close()
        context.contents.close(content)
    }
}
