// The targets of symbolic links: the bytes of their objects.

import Buffers
public import Operations
import S3

extension FileSystem {
    /// The longest target, in bytes (PATH_MAX).
    private static let longestTarget: Int64 = 4096

    public func readLink(inode: InodeNumber, reply: Reply<[UInt8]>) {
        guard namespace.attributes(of: inode)?.kind == .symbolicLink else {
            reply.fail(.invalid)
            return
        }
        guard let version = namespace.version(of: inode) else {
            reply.fail(.stale)
            return
        }
        guard version.size > 0, version.size < Self.longestTarget else {
            reply.fail(.inputOutput)
            return
        }
        let content = context.contents.open(version)
        let reader = FileHandle(
            inode: inode, content: content, context: context,
            onFailure: { [namespace] error in
                if error.saysChanged { namespace.objectChanged(inode) }
            })
        let reading = Reply<ReadAnswer> { result in
            defer { reader.close() }
            reply.answer(
                result.map { answer in
                    answer.pieces.flatMap { piece in
                        unsafe Array(
                            UnsafeRawBufferPointer(
                                start: piece.buffer.pointer + piece.offset, count: piece.count))
                    }
                })
        }
        reader.read(offset: 0, size: Int(version.size), reply: reading)
    }
}
