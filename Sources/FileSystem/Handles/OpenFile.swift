// An open file: its inode, how it was opened, and who reads it.
//
// A file that nobody changes is read from the version it was opened with. Once somebody changes it,
// its reader follows the version that the changed file is built on.
//
// Locks: one leaf mutex.

import CPlatform
import Glibc
import Operations
import S3
import Synchronization

/// What stands behind a handle number.
final class OpenFile: Sendable {
    let inode: InodeNumber
    /// `O_*` of the open.
    let flags: Int32
    private let state: Mutex<FileHandle?>

    /// - Parameter reader: of the version it was opened with; nil for a file that is being changed.
    init(inode: InodeNumber, flags: Int32, reader: FileHandle?) {
        self.inode = inode
        self.flags = flags
        state = Mutex(reader)
    }

    var mayWrite: Bool { flags & O_ACCMODE != O_RDONLY }
    var mayRead: Bool { flags & O_ACCMODE != O_WRONLY }

    /// The reader of the version it was opened with.
    var pinned: FileHandle? { state.withLock { $0 } }

    /// The reader of a version, made anew when the last one was of another.
    func reader(of version: ObjectVersion, in file: WritableFile) -> FileHandle {
        let old: FileHandle?
        let reader: FileHandle
        (reader, old) = state.withLock { current in
            if let current, current.content.version == version { return (current, nil) }
            let content = file.context.read.contents.open(version)
            let reader = FileHandle(
                inode: inode, content: content, context: file.context.read,
                onFailure: { [file] error in
                    file.context.report(WriteFailure(error.asSeenByReader), "read", version.key)
                })
            defer { current = reader }
            return (reader, current)
        }
        old?.close()
        return reader
    }

    /// Gives up guesses and lets the content go.
    func close() {
        let reader = state.withLock { reader in
            defer { reader = nil }
            return reader
        }
        reader?.close()
    }
}
