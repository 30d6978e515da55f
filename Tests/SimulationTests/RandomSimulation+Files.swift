// The operations on open files, and how their answers are judged.

import Glibc
import Operations
import S3
import Simulation

extension RandomSimulation {
    /// As open(2) does: looks the name up again unless the kernel still believes it, then opens.
    func openSomething() {
        let candidates = inodes { !$0.isDirectory }
        guard let inode = candidates.randomElement(using: &generator) else {
            return lookUpSomething()
        }
        let node = nodes[inode]!
        if node.validUntil > scheduler.now { return open(inode) }
        lookUp(node.parent, node.name) { [self] inode in
            guard let inode, !nodes[inode]!.isDirectory else { return }
            open(inode)
        }
    }

    private func open(_ inode: InodeNumber) {
        let start = scheduler.now
        nodes[inode]!.uses += 1
        let node = nodes[inode]!
        let key = BucketModel.key(node.prefix, node.name)
        note("open \(inode) \(key)")
        let pending = driver.beginOpen(inode) { [self] result in
            note("open \(inode) \(key): \(result)")
            let states = BucketModel.states(
                store.history(of: key), from: node.since, to: scheduler.now)
            switch result {
            case .success(let answer):
                count("open")
                var candidates = states.compactMap { $0 }
                if answer.keepCache {
                    // The kernel shows pages of the version that the last open saw.
                    count("keep cache")
                    let last = lastOpened[inode] ?? []
                    candidates.removeAll { !last.contains($0.etag) }
                    if candidates.isEmpty { problem("open \(inode) \(key): keeps other pages") }
                }
                lastOpened[inode] = Set(candidates.map(\.etag))
                lastHandle[inode] = answer.handle
                files[answer.handle] = OpenFile(
                    inode: inode, key: key, since: node.since, candidates: candidates)
            case .failure(let errno):
                nodes[inode]!.uses -= 1
                count("open failed")
                judge(
                    errno, start: start, node.prefix, node.name, "open \(inode) \(key)",
                    inode: inode)
            }
        }
        interruptible.append(pending)
    }

    func readSomething() {
        let handles = files.filter { !$0.value.isClosing }.map(\.key).sorted()
        guard let handle = handles.randomElement(using: &generator) else { return openSomething() }
        let file = files[handle]!
        guard let version = file.candidates.randomElement(using: &generator) else { return }
        let isSequential = handle % 3 != 0 || generator.chance(0.3)
        var offset = file.nextOffset
        var size = 1 << 17
        if !isSequential {
            offset = Int64.random(in: 0...version.size + 10, using: &generator)
            size = [1, 4096, 1 << 17, 1 << 20].randomElement(using: &generator)!
        }
        read(handle, offset: offset, size: size)
        files[handle]!.nextOffset = offset > version.size ? 0 : offset + Int64(size)
        // A stream goes on, with the kernel's readahead of a request or two under way.
        if isSequential, generator.chance(0.7) {
            read(handle, offset: offset + Int64(size), size: size)
            files[handle]!.nextOffset += Int64(size)
        }
    }

    private func read(_ handle: HandleNumber, offset: Int64, size: Int) {
        let start = scheduler.now
        files[handle]!.reads += 1
        let text = "read \(files[handle]!.key) handle \(handle) at \(offset) size \(size)"
        note(text)
        let pending = driver.beginRead(handle, offset: offset, size: size) { [self] result in
            files[handle]!.reads -= 1
            switch result {
            case .success(let bytes):
                note("\(text): \(bytes.count) bytes")
                count("read")
                judge(bytes, handle, offset: offset, size: size, text)
            case .failure(let errno):
                note("\(text): \(errno)")
                count("read failed \(errno.rawValue)")
                judgeRead(errno, handle, start: start, text)
            }
        }
        interruptible.append(pending)
    }

    /// Keeps only the versions that have exactly these bytes there.
    private func judge(
        _ bytes: [UInt8], _ handle: HandleNumber, offset: Int64, size: Int, _ what: String
    ) {
        let before = files[handle]!.candidates
        let fitting = before.filter { $0.gives(bytes, at: offset, size: size) }
        if fitting.isEmpty {
            let history = store.history(of: files[handle]!.key).compactMap(\.object)
            let other = history.contains { $0.gives(bytes, at: offset, size: size) }
            problem(
                "\(what): \(bytes.count) bytes of "
                    + (other ? "another version" : "no version") + " (\(before.count) candidates)")
        }
        files[handle]!.candidates = fitting
        let inode = files[handle]!.inode
        if lastHandle[inode] == handle { lastOpened[inode] = Set(fitting.map(\.etag)) }
    }

    private func judgeRead(
        _ errno: Errno, _ handle: HandleNumber, start: Duration, _ what: String
    ) {
        if errno == .interrupted || isFault(errno, start: start) { return }
        let file = files[handle]!
        let states = BucketModel.states(
            store.history(of: file.key), from: file.since, to: scheduler.now)
        if errno == .stale, states.contains(where: { $0 != states.last! }) { return }
        problem("\(what): \(errno)")
    }

    func closeSomething() {
        let handles = files.filter { $0.value.reads == 0 }.map(\.key).sorted()
        guard let handle = handles.randomElement(using: &generator) else { return }
        close(handle)
    }

    /// Closes a file without reads under way.
    func close(_ handle: HandleNumber) {
        let file = files.removeValue(forKey: handle)!
        note("close \(file.key) handle \(handle)")
        nodes[file.inode]!.uses -= 1
        driver.beginClose(handle) { [self] result in
            if case .failure(let errno) = result { problem("close \(file.key): \(errno)") }
        }
    }
}

extension StoredObject {
    /// True when a read there gives exactly these bytes.
    func gives(_ read: [UInt8], at offset: Int64, size: Int) -> Bool {
        let start = Int(min(offset, self.size))
        let end = min(start + size, bytes.count)
        guard read.count == end - start else { return false }
        return bytes.withUnsafeBytes { mine in
            read.withUnsafeBytes { theirs in
                read.isEmpty
                    || memcmp(mine.baseAddress! + start, theirs.baseAddress!, read.count) == 0
            }
        }
    }
}
