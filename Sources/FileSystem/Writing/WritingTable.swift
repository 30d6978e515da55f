// The files of a mount that are being changed, by inode.
//
// Locks: one mutex; below it the files' own.

import Operations
import S3
import Synchronization

/// Files that are being changed.
final class WritingTable: Sendable {
    private let files = Mutex<[InodeNumber: WritableFile]>([:])

    /// The file of an inode, when it is being changed.
    func find(_ inode: InodeNumber) -> WritableFile? { files.withLock { $0[inode] } }

    /// The same, counting one more user, who must `leave`.
    func enter(_ inode: InodeNumber) -> WritableFile? {
        files.withLock { files in
            guard let file = files[inode] else { return nil }
            file.locked { $0.users += 1 }
            return file
        }
    }

    /// The file of an inode, made when there is none, counting one more user.
    func enter(
        _ inode: InodeNumber, orMake make: () -> WritableFile
    ) -> WritableFile {
        files.withLock { files in
            let file = files[inode] ?? make()
            if files.updateValue(file, forKey: inode) == nil { file.context.namespace.pin(inode) }
            file.locked { $0.users += 1 }
            return file
        }
    }

    /// Ends one use. The file leaves the table when nobody uses it and all of it is in the bucket.
    func leave(_ file: WritableFile) {
        file.locked { $0.users -= 1 }
        dropIfIdle(file)
    }

    /// Lets a file go that nobody uses and that has nothing left to publish.
    func dropIfIdle(_ file: WritableFile) {
        let isDropped = files.withLock { files in
            guard files[file.inode] === file, !file.gate.isTaken else { return false }
            let isOpen = file.context.handles.count(of: file.inode) > 0
            let isIdle = !isOpen && file.locked { $0.users == 0 && !$0.isDirty }
            if isIdle { files[file.inode] = nil }
            return isIdle
        }
        guard isDropped else { return }
        file.retire()
        file.context.namespace.unpin(file.inode)
    }

    /// Takes a file out that only the caller uses and nobody has open; who asks for the inode next gets
    /// what the bucket has. False when somebody else has it in hand.
    func takeAway(_ file: WritableFile) -> Bool {
        files.withLock { files in
            guard files[file.inode] === file, file.context.handles.count(of: file.inode) == 0,
                file.locked({ $0.users == 1 })
            else { return false }
            files[file.inode] = nil
            return true
        }
    }

    /// All of them, by inode.
    var all: [WritableFile] {
        files.withLock { $0.values.sorted { $0.inode < $1.inode } }
    }
}
