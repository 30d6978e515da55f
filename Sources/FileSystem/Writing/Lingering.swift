// Files that are removed, or replaced by a rename, while somebody has them open: their handles must go
// on reading what the object held.
//
// The bytes are brought here, so that the object can go at once. What is too large for that lingers:
// its object stays in the bucket under its old key, hidden here, until the last handle is closed or
// somebody needs the key. Then it is deleted, and a handle that still reads it gets ESTALE.
//
// Locks: that of the box of lingering files, a leaf.

import Operations
import S3

/// A removed file whose object is still in the bucket, and the name it had.
struct LingeringFile: Sendable {
    var file: WritableFile
    var parent: InodeNumber
    var name: [UInt8]
}

extension WritableFile {
    /// The largest object that is brought here for the sake of open handles.
    private static let bringingLimit: Int64 = 64 << 20

    /// Brings here what open handles would lose with the object. Inside the gate.
    ///
    /// - Parameter then: told whether the object is of no use any more.
    func bringHome(then: @escaping @Sendable (Bool) -> Void) {
        guard locked({ $0.needsBase }) else { return then(true) }
        guard locked({ $0.size <= Self.bringingLimit }) else { return then(false) }
        materialise(FileState.everything) { [self] failure in
            let isHome = locked { state in
                guard failure == nil, !state.needsBase else { return false }
                // Nothing of it can be fetched again: clean bytes would give way to others.
                state.extents.replaceAll(.clean, with: .dirty)
                return true
            }
            then(isHome)
        }
    }
}

extension WritingContext {
    /// The object of a removed file goes with the file's last handle, or at the next mount.
    func linger(_ file: WritableFile, parent: InodeNumber, name: [UInt8]) {
        guard let version = file.locked({ $0.published }) else { return }
        let id = records.put(.deleteVersion(key: version.key.bytes, etag: version.etag.text))
        file.locked { state in
            state.deletesAtEnd = true
            state.journalID = id
        }
        lingering.update { files in
            files[version.key] = LingeringFile(file: file, parent: parent, name: name)
        }
    }

    /// Deletes lingering objects whose key is wanted for something else.
    func clear(
        where isWanted: @Sendable (ObjectKey) -> Bool, then: @escaping @Sendable () -> Void
    ) {
        let keys = lingering.value.keys.filter(isWanted).sorted()
        clear(keys[...], then: then)
    }

    private func clear(_ keys: ArraySlice<ObjectKey>, then: @escaping @Sendable () -> Void) {
        guard let key = keys.first else { return then() }
        end(key) { [self] in clear(keys.dropFirst(), then: then) }
    }

    /// Deletes a lingering object, if it is still the one that was removed.
    func end(_ key: ObjectKey, then: @escaping @Sendable () -> Void) {
        guard let lingering = lingering.update({ $0.removeValue(forKey: key) }) else {
            return then()
        }
        let file = lingering.file
        let (version, journalID) = file.locked { state in
            defer {
                state.deletesAtEnd = false
                state.journalID = nil
            }
            return (state.published, state.journalID)
        }
        let gone: @Sendable () -> Void = { [self] in
            if let journalID { records.ended(journalID) }
            namespace.settleRemoval(parent: lingering.parent, name: lingering.name)
            then()
        }
        // Another may have put an object there: it is not ours to delete.
        store.head(key) { [self] result in
            guard case .success(let head) = result, head.etag == version?.etag else {
                return gone()
            }
            store.delete(key) { [self] result in
                guard case .failure(let error) = result else { return gone() }
                report(WriteFailure(error), "unlink", key)
                namespace.withdrawRemoval(parent: lingering.parent, name: lingering.name)
                then()
            }
        }
    }
}
