// Files that are removed, or replaced by a rename, while somebody has them open: their handles go on
// reading what the object held. The bytes are brought here first, so that the object can go at once.

import Operations
import S3

extension WritableFile {
    /// Brings here what open handles would lose with the object. Inside the gate. What is too large
    /// stays in the bucket until the last handle is closed, or is replaced and its handles get ESTALE.
    func bringHome(then: @escaping @Sendable () -> Void) {
        guard context.handles.count(of: inode) > 0,
            locked({ $0.needsBase && $0.size <= context.configuration.homeLimit })
        else { return then() }
        materialise(FileState.everything) { [self] failure in
            locked { state in
                guard failure == nil, !state.needsBase else { return }
                // Nothing of it can be fetched again: clean bytes would give way to others.
                state.extents.replaceAll(.clean, with: .dirty)
            }
            then()
        }
    }
}
