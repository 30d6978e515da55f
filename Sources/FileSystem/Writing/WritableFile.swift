// A file that is being changed, or has been while it is open: its bytes are partly staged, partly
// those of a published version.
//
// It lives from the first change until nobody has it open and everything is published; while it
// lives, all reads of its inode go through it, so that every handle sees every write. Bytes change
// under the lock (a write goes to the page cache of the local disk); what needs the network goes
// through `gate`, one operation at a time. Bytes that are being sent are frozen: a write to them
// waits until they have arrived.
//
// Locks: `state`, below it those of the staging area and of the namespace. Never held while a reply
// is answered or a request is made.

import BlockStore
import Operations
import S3
import Scheduling
import Synchronization

/// One file that is being changed.
final class WritableFile: Sendable {
    let inode: InodeNumber
    let context: WritingContext
    let gate = SerialGate()
    private let state: Mutex<FileState>

    init(inode: InodeNumber, context: WritingContext, state: sending FileState) {
        self.inode = inode
        self.context = context
        self.state = Mutex(state)
    }

    /// Runs `body` under the lock.
    func locked<Value: Sendable>(_ body: (inout FileState) -> Value) -> Value {
        state.withLock { body(&$0) }
    }

    /// Ends the sending of a range, and lets those who waited for it go on.
    func thaw(_ range: Range<Int64>) {
        wake(locked { $0.thaw(range) })
    }

    /// Lets parked work go on, on threads of the scheduler.
    func wake(_ parked: [@Sendable () -> Void]) {
        for work in parked { context.scheduler.run(work) }
    }

    // MARK: Staged bytes

    /// The staged file, made when there is none. Under the lock.
    func stagedFile(_ state: inout FileState) -> any StagedFile {
        if let staged = state.staged { return staged }
        let staged = PooledFile(pool: context.read.pool, staging: context.staging)
        state.staged = staged
        return staged
    }

    /// Gives the staging area back what a range holds, and the bytes another source.
    func unstage(_ range: Range<Int64>, as source: ExtentMap.Source, _ state: inout FileState) {
        let freed = state.extents.bytes([.clean, .dirty], in: range)
        guard freed > 0 || source != .sent else { return }
        state.staged?.punch(range)
        for extent in state.extents.extents(in: range) where extent.source.isStaged {
            state.extents.set(extent.range, source)
        }
        state.claimed -= freed
        context.staging.release(freed)
    }

    /// Lets go of all staged bytes: the file is closed and published, or gone.
    func discard() {
        let (staged, claimed, parked) = locked { state in
            defer {
                state.staged = nil
                state.claimed = 0
                state.parked = []
            }
            return (state.staged, state.claimed, state.parked)
        }
        staged?.remove()
        context.staging.release(claimed)
        wake(parked)
    }

    /// The file leaves the table: nobody has it open, and all of it is in the bucket.
    func retire() {
        if locked({ !$0.deletesAtEnd }) { forgetRecord() }
        discard()
    }

    /// Tells the namespace how the file looks now. Under the lock.
    func show(_ state: FileState) {
        let record = state.shown
        context.namespace.change(inode) { $0 = record }
    }
}

extension ExtentMap.Source {
    /// The bytes are in the staged file.
    var isStaged: Bool { self == .clean || self == .dirty }
}
