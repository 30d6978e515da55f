// Names in the reference model: mkdir, rmdir, unlink, rename, symlink, with Linux's errnos in the order
// in which its VFS looks for them.

import Operations

extension PosixModel {
    mutating func changeNames(_ step: FileStep) throws(Errno) {
        switch step {
        case .makeDirectory(let path, let permissions):
            let (directory, name) = try parent(of: path)
            guard inodes[directory]!.entries[name] == nil else { throw .exists }
            touch(directory)
            _ = add(Inode(kind: .directory, permissions: permissions), to: directory, name)
        case .removeDirectory(let path):
            let (directory, name) = try parent(of: path)
            let number = try find(path)
            guard inodes[number]!.kind == .directory else { throw .notDirectory }
            guard inodes[number]!.entries.isEmpty else { throw .notEmpty }
            touch(directory)
            remove(name, from: directory)
        case .unlink(let path):
            let (directory, name) = try parent(of: path)
            guard inodes[try find(path)]!.kind != .directory else { throw .isDirectory }
            touch(directory)
            remove(name, from: directory)
        case .rename(let from, let to, let noReplace):
            try rename(from, to, noReplace: noReplace)
        case .link(let target, let path):
            let (directory, name) = try parent(of: path)
            guard inodes[directory]!.entries[name] == nil else { throw .exists }
            touch(directory)
            var link = Inode(kind: .symbolicLink, permissions: 0o777)
            link.target = target
            _ = add(link, to: directory, name)
        default: preconditionFailure("not a change of names: \(step)")
        }
    }

    /// The time of a directory whose names change is now.
    private mutating func touch(_ directory: Number) { inodes[directory]!.modified = nil }

    private mutating func rename(
        _ from: String, _ to: String, noReplace: Bool
    ) throws(Errno) {
        let (oldDirectory, oldName) = try parent(of: from)
        let (newDirectory, newName) = try parent(of: to)
        guard let source = inodes[oldDirectory]!.entries[oldName] else { throw .noEntry }
        let target = inodes[newDirectory]!.entries[newName]
        if noReplace, target != nil { throw .exists }
        // Neither may be above the other.
        if isAncestor(source, of: newDirectory) { throw .invalid }
        if let target, isAncestor(target, of: oldDirectory) { throw .notEmpty }
        if target == source { return }
        if let target {
            let isDirectory = inodes[source]!.kind == .directory
            let replacesDirectory = inodes[target]!.kind == .directory
            if isDirectory, !replacesDirectory { throw .notDirectory }
            if !isDirectory, replacesDirectory { throw .isDirectory }
            if replacesDirectory, !inodes[target]!.entries.isEmpty { throw .notEmpty }
            remove(newName, from: newDirectory)
        }
        touch(oldDirectory)
        touch(newDirectory)
        inodes[oldDirectory]!.entries[oldName] = nil
        inodes[newDirectory]!.entries[newName] = source
    }

    /// True also for the directory itself.
    func isAncestor(_ number: Number, of directory: Number) -> Bool {
        if number == directory { return true }
        return inodes[number]!.entries.values.contains { child in
            inodes[child]!.kind == .directory && isAncestor(child, of: directory)
        }
    }
}
