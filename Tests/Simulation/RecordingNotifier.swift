public import Operations
import Synchronization

/// Keeps the notifications that a kernel would be sent.
public final class RecordingNotifier: KernelNotifier {
    /// One notification.
    public enum Notification: Hashable, Sendable {
        case inode(InodeNumber, offset: Int64, length: Int64)
        case entry(parent: InodeNumber, name: [UInt8])
    }

    private let state = Mutex<[Notification]>([])

    public init() {}

    public func invalidateInode(_ inode: InodeNumber, offset: Int64, length: Int64) {
        state.withLock { $0.append(.inode(inode, offset: offset, length: length)) }
    }

    public func invalidateEntry(parent: InodeNumber, name: [UInt8]) {
        state.withLock { $0.append(.entry(parent: parent, name: name)) }
    }

    /// What was told since the last call.
    public func take() -> [Notification] {
        state.withLock { state in
            defer { state = [] }
            return state
        }
    }
}
