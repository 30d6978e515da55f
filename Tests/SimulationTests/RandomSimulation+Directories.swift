// The operations on open directories, and how their answers are judged.

import Operations
import Simulation

extension RandomSimulation {
    /// As opendir(3): looks the name up again unless the kernel still believes it, then opens.
    func openSomeDirectory() {
        let inode = inodes { $0.isDirectory }.randomElement(using: &generator)!
        let node = nodes[inode]!
        if node.validUntil > scheduler.now { return openDirectory(inode) }
        lookUp(node.parent, node.name) { [self] inode in
            guard let inode, nodes[inode]!.isDirectory else { return }
            openDirectory(inode)
        }
    }

    private func openDirectory(_ inode: InodeNumber) {
        let start = scheduler.now
        nodes[inode]!.uses += 1
        let node = nodes[inode]!
        let prefix = prefix(of: inode)
        let text = "opendir \(inode) \(Self.text(prefix))"
        note(text)
        driver.beginOpenDirectory(inode) { [self] result in
            note("\(text): \(result)")
            switch result {
            case .success(let answer):
                count("opendir")
                directories[answer.handle] = OpenDirectory(
                    inode: inode, prefix: prefix, since: since(timeout: .zero),
                    wasRough: isRough || lastRough >= start)
            case .failure(let errno):
                nodes[inode]!.uses -= 1
                judge(errno, start: start, node.prefix, node.name, text, inode: inode)
            }
        }
    }

    func readSomeDirectory() {
        let handles = directories.filter { !$0.value.isBusy }.map(\.key).sorted()
        guard let handle = handles.randomElement(using: &generator) else {
            return openSomeDirectory()
        }
        // Now and then seekdir to a name seen, or rewinddir.
        if generator.chance(0.15) {
            let count = directories[handle]!.seen.count
            let kept = generator.chance(0.5) ? 0 : Int.random(in: 0...count, using: &generator)
            directories[handle]!.seen.removeSubrange(kept...)
        }
        readDirectory(
            handle, limit: [1, 2, 5, 100].randomElement(using: &generator)!,
            plus: generator.chance(0.7), goesOn: generator.chance(0.5))
    }

    /// Reads one page, or all that are left.
    private func readDirectory(
        _ handle: HandleNumber, limit: Int, plus: Bool, goesOn: Bool
    ) {
        let start = scheduler.now
        let directory = directories[handle]!
        directories[handle]!.isBusy = true
        let offset = directory.seen.last?.nextOffset ?? 0
        let text = "readdir \(directory.inode) \(Self.text(directory.prefix)) at \(offset)"
        note("\(text) limit \(limit)")
        driver.beginReadDirectory(handle, offset: offset, limit: limit, plus: plus) {
            [self] result in
            directories[handle]!.isBusy = false
            if isRough { directories[handle]!.wasRough = true }
            switch result {
            case .failure(let errno):
                note("\(text): \(errno)")
                count("readdir failed")
                let isFault = isFault(errno, start: directory.wasRough ? lastRough : start)
                if errno != .interrupted && !isFault { problem("\(text): \(errno)") }
            case .success(let page):
                note("\(text): \(page.map(\.text))")
                count("readdir")
                for name in page { judge(name, handle, text) }
                directories[handle]!.seen += page
                if page.isEmpty {
                    judgeWhole(handle, text)
                } else if goesOn {
                    readDirectory(handle, limit: limit, plus: plus, goesOn: true)
                }
            }
        }
    }

    /// Judges one name as it arrives.
    private func judge(_ name: DirectoryName, _ handle: HandleNumber, _ what: String) {
        let directory = directories[handle]!
        if name.text == "." || name.text == ".." {
            if name.entryTimeout != nil { problem("\(what): \(name.text) counts a lookup") }
            return
        }
        let text = "\(what): \(name.text)"
        let timeout = min(name.entryTimeout ?? .zero, name.attributesTimeout)
        // A snapshot may be older than the TTL, but not older than the walk.
        let since = min(since(timeout: timeout), directory.since)
        if name.entryTimeout != nil {
            observe(
                name.attributes, directory.inode, directory.prefix, name.name, since: since,
                validUntil: scheduler.now + timeout, text)
            // Nothing is older than the walk's own window, but what has a timeout is younger.
            judge(
                name.attributes, directory.prefix, name.name,
                since: timeout > .zero ? self.since(timeout: timeout) : since, text)
        } else {
            let history = model.history(
                directory.prefix, name.name, from: since, to: scheduler.now)
            let isTrue =
                name.attributes.kind == .directory ? history.mayBeDirectory : history.mayBeFile
            if !isTrue { problem("\(text): was not there") }
        }
    }

    /// Judges a walk that came to its end: no name twice, none lost that was there all the time.
    private func judgeWhole(_ handle: HandleNumber, _ what: String) {
        count("walk")
        let directory = directories[handle]!
        let names = directory.seen.map(\.name)
        let unique = Set(names)
        if unique.count != names.count {
            problem("\(what): names repeated in \(directory.seen.map(\.text))")
        }
        for name in model.namesEver(in: directory.prefix) where !unique.contains(name) {
            let history = model.history(
                directory.prefix, name, from: directory.since, to: scheduler.now)
            if history.isDirectoryThroughout || history.isFileThroughout {
                problem("\(what): lost \(Self.text(name)), has \(directory.seen.map(\.text))")
            }
        }
        if !unique.isSuperset(of: [[0x2E], [0x2E, 0x2E]]) { problem("\(what): lost . or ..") }
    }

    func closeSomeDirectory() {
        let handles = directories.filter { !$0.value.isBusy }.map(\.key).sorted()
        guard let handle = handles.randomElement(using: &generator) else { return }
        closeDirectory(handle)
    }

    /// Closes a directory without reads under way.
    func closeDirectory(_ handle: HandleNumber) {
        let directory = directories.removeValue(forKey: handle)!
        nodes[directory.inode]!.uses -= 1
        note("closedir \(Self.text(directory.prefix))")
        driver.beginCloseDirectory(handle) { [self] result in
            if case .failure(let errno) = result { problem("closedir: \(errno)") }
        }
    }
}
