// The end of a run: without faults and after the TTL, the mount shows exactly the bucket; closed and
// forgotten, it holds nothing.

import Operations
import Simulation

@testable import FileSystem

extension RandomSimulation {
    func end() {
        note("end")
        calmDown()
        if !driver.unanswered.isEmpty { problem("never answered: \(driver.unanswered)") }
        guard problems.isEmpty else { return }
        for handle in files.keys.sorted() { close(handle) }
        for handle in directories.keys.sorted() { closeDirectory(handle) }
        if let ttl = plan.timeToLive {
            scheduler.advance(by: ttl + plan.slack)
            compareTree()
        } else if !plan.hasChanges {
            compareTree()
        }
        guard problems.isEmpty else { return }
        if !driver.openFiles.isEmpty || !driver.openDirectories.isEmpty { problem("still open") }
        driver.forgetAll()
        fileSystem.shutdown()
        if !scheduler.runUntilIdle(maxSteps: 100_000) {
            problem("work goes on for ever: \(lastRequests)")
        }
        // What is kept in memory for the next reader must be all there is.
        while let content = fileSystem.context.idle.evictOne(guesses: true) {
            fileSystem.context.contents.dropIfUnused(content)
        }
        let contents = fileSystem.context.contents.count
        if contents != 0 { problem("\(contents) contents kept for nobody") }
        if pool.used != 0 { problem("\(pool.used) bytes of the pool still in use") }
        if store.pendingRequests != 0 { problem("requests under way after the end") }
        if blocks.pendingStores != 0 { problem("blocks still being stored") }
    }

    /// Walks the whole mount and compares names, sizes, times and bytes with the bucket.
    private func compareTree() {
        var expected = model.tree(of: plan.rootPrefix)
        var directories: [(InodeNumber, [UInt8])] = [(FileSystemDriver.root, [])]
        do throws(Errno) {
            while let (inode, path) = directories.popLast() {
                for name in try driver.names(inode, limit: 7) {
                    let full = path + (path.isEmpty ? [] : [UInt8(ascii: "/")]) + name.name
                    let text = Self.text(full)
                    let answer = try driver.lookup(inode, name.text)
                    guard let found = answer.attributes else {
                        problem("the end: \(text) is listed, but lookup says no")
                        continue
                    }
                    if found.kind != name.attributes.kind
                        || found.kind == .file && found != name.attributes
                    {
                        problem("the end: \(text) is \(found), listed as \(name.attributes)")
                    }
                    guard let wanted = expected.removeValue(forKey: full) else {
                        problem("the end: \(text) is not in the bucket")
                        continue
                    }
                    guard let object = wanted else {
                        if found.kind != .directory { problem("the end: \(text) no directory") }
                        directories.append((found.inode, full))
                        continue
                    }
                    try compare(found, object, text)
                }
            }
        } catch {
            problem("the end: \(error)")
        }
        for (path, _) in expected { problem("the end: \(Self.text(path)) is missing") }
    }

    private func compare(
        _ found: FileAttributes, _ object: StoredObject, _ text: String
    ) throws(Errno) {
        count("compared")
        if found.kind != .file || found.size != object.size || found.modified != object.modified {
            problem("the end: \(text) has size \(found.size) for \(object.size)")
        }
        let handle: HandleNumber
        do throws(Errno) {
            handle = try driver.open(found.inode).handle
        } catch {
            return problem("the end: open \(text): \(error)")
        }
        do throws(Errno) {
            let bytes = try driver.readAll(handle)
            if bytes != object.bytes { problem("the end: \(text) has other bytes") }
        } catch {
            problem("the end: read \(text): \(error)")
        }
        try driver.close(handle)
    }
}
