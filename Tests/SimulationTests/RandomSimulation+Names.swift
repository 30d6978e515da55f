// The operations on names and attributes, and how their answers are judged.

import Operations
import Simulation

extension RandomSimulation {
    /// What the keys in a directory begin with.
    func prefix(of inode: InodeNumber) -> [UInt8] {
        inode == FileSystemDriver.root ? plan.rootPrefix : nodes[inode]!.childPrefix
    }

    func lookUpSomething() {
        let parent = inodes { $0.isDirectory }.randomElement(using: &generator)!
        lookUp(parent, plan.name(using: &generator)) { _ in }
    }

    /// Looks a name up and judges the answer; `then` gets the inode, nil when there is none.
    func lookUp(
        _ parent: InodeNumber, _ name: [UInt8],
        then: @escaping @Sendable (InodeNumber?) -> Void
    ) {
        let start = scheduler.now
        let prefix = prefix(of: parent)
        nodes[parent]!.uses += 1
        note("lookup \(parent) \(Self.text(prefix + name))")
        let pending = driver.beginLookup(parent, name) { [self] result in
            nodes[parent]!.uses -= 1
            let text = Self.text(prefix + name)
            switch result {
            case .failure(let errno):
                note("lookup \(text): \(errno)")
                count("lookup failed")
                judge(errno, start: start, prefix, name, "lookup \(text)", parent: parent)
                then(nil)
            case .success(let answer):
                guard let attributes = answer.attributes else {
                    note("lookup \(text): none for \(answer.entryTimeout)")
                    count("lookup negative")
                    let since = since(timeout: answer.entryTimeout)
                    let history = model.history(prefix, name, from: since, to: scheduler.now)
                    if !history.mayBeAbsent {
                        problem("lookup \(text): negative, but it was there")
                    }
                    then(nil)
                    return
                }
                note("lookup \(text): \(attributes.inode) size \(attributes.size)")
                count("lookup positive")
                let timeout = min(answer.entryTimeout, answer.attributesTimeout)
                observe(
                    attributes, parent, prefix, name, since: since(timeout: timeout),
                    validUntil: scheduler.now + timeout, "lookup \(text)")
                then(attributes.inode)
            }
        }
        interruptible.append(pending)
    }

    /// Judges attributes of a name, and keeps what the kernel would.
    func observe(
        _ attributes: FileAttributes, _ parent: InodeNumber, _ prefix: [UInt8], _ name: [UInt8],
        since: Duration, validUntil: Duration, _ what: String
    ) {
        judge(attributes, prefix, name, since: since, what)
        let isDirectory = attributes.kind == .directory
        if let old = nodes[attributes.inode] {
            if old.parent != parent || old.name != name {
                problem("\(what): inode \(attributes.inode) is also \(Self.text(old.name))")
            }
            if old.isDirectory != isDirectory {
                problem("\(what): inode \(attributes.inode) changed its kind while in use")
            }
        } else if !plan.hasChanges,
            let other = nodes.first(where: { $0.value.parent == parent && $0.value.name == name })
        {
            problem("\(what): inode \(other.key) became \(attributes.inode) while in use")
        }
        var node =
            nodes[attributes.inode]
            ?? Node(
                parent: parent, prefix: prefix, name: name, isDirectory: isDirectory,
                validUntil: validUntil, since: since)
        (node.validUntil, node.since) = (validUntil, since)
        nodes[attributes.inode] = node
    }

    /// Judges attributes against what the name was since then.
    func judge(
        _ attributes: FileAttributes, _ prefix: [UInt8], _ name: [UInt8], since: Duration,
        _ what: String
    ) {
        let history = model.history(prefix, name, from: since, to: scheduler.now)
        switch attributes.kind {
        case .directory:
            if !history.mayBeDirectory { problem("\(what): a directory, but there was none") }
        case .file:
            let isTrue = history.versions.contains {
                $0.size == attributes.size && $0.modified == attributes.modified
            }
            if !isTrue { problem("\(what): size or time is of no version it had") }
            if !history.mayBeFile { problem("\(what): a file, but the name was not one") }
        case .symbolicLink, .unknown: problem("\(what): a link, or unknown")
        }
    }

    /// Judges an error: a fault, an interrupt, or ESTALE for what changed.
    func judge(
        _ errno: Errno, start: Duration, _ prefix: [UInt8], _ name: [UInt8], _ what: String,
        inode: InodeNumber = 0, parent: InodeNumber? = nil
    ) {
        if errno == .interrupted || isFault(errno, start: start) { return }
        if errno == .stale, plan.hasChanges {
            let since = min(start, since(timeout: .zero))
            let history = model.history(prefix, name, from: since, to: scheduler.now)
            let isSettled = history.states.allSatisfy { $0 != nil && $0 == history.states[0] }
            // A file that became a directory is another inode; the old one is stale.
            let isSteady =
                nodes[inode]?.isDirectory ?? false
                ? history.isDirectoryThroughout : history.isFileThroughout && isSettled
            // The directory itself may be what has gone.
            if parent != nil || !isSteady { return }
        }
        problem("\(what): \(errno)")
    }

    func getAttributesOfSomething() {
        let inode = inodes { _ in true }.randomElement(using: &generator)!
        let start = scheduler.now
        nodes[inode]!.uses += 1
        let node = nodes[inode]!
        let text = "getattr \(inode) \(Self.text(node.prefix + node.name))"
        note(text)
        let pending = driver.beginAttributes(inode) { [self] result in
            nodes[inode]!.uses -= 1
            note("\(text): \(result)")
            count("getattr")
            switch result {
            case .success(let answer):
                if answer.attributes.inode != inode { problem("\(text): of another inode") }
                guard inode != FileSystemDriver.root else { return }
                let since = since(timeout: answer.timeout)
                judge(answer.attributes, node.prefix, node.name, since: since, text)
            case .failure(let errno):
                judge(errno, start: start, node.prefix, node.name, text, inode: inode)
            }
        }
        interruptible.append(pending)
    }

    func getSomeExtendedAttribute() {
        let candidates = inodes { !$0.isDirectory }
        guard let inode = candidates.randomElement(using: &generator) else { return }
        let start = scheduler.now
        nodes[inode]!.uses += 1
        let node = nodes[inode]!
        let name = ["key", "etag", "version-id", "none"].randomElement(using: &generator)!
        let text = "getxattr \(inode) \(name)"
        note(text)
        let key = BucketModel.key(node.prefix, node.name)
        let pending = driver.beginExtendedAttribute(inode, "user.s3." + name) { [self] result in
            nodes[inode]!.uses -= 1
            note("\(text): \(result.map(Self.text))")
            count("getxattr")
            switch result {
            case .failure(.noData) where name == "none" || plan.hasChanges: break
            // The object is gone: HEAD says so.
            case .failure(.noEntry) where name == "version-id" && plan.hasChanges: break
            case .failure(let errno):
                judge(errno, start: start, node.prefix, node.name, text, inode: inode)
            case .success(let value):
                let versions = store.history(of: key).compactMap(\.object)
                let expected: [String] =
                    switch name {
                    case "key": [Self.text(key.bytes)]
                    case "etag": versions.map(\.etag.text)
                    case "version-id": versions.map(\.versionID)
                    default: []
                    }
                if !expected.contains(Self.text(value)) { problem("\(text): \(Self.text(value))") }
            }
        }
        interruptible.append(pending)
    }

    func forgetSomething() {
        let parents = Set(nodes.values.map(\.parent))
        let candidates = inodes { $0.uses == 0 }.filter {
            $0 != FileSystemDriver.root && !parents.contains($0)
        }
        guard let inode = candidates.randomElement(using: &generator) else { return }
        let known = driver.lookups[inode] ?? 0
        let count = Bool.random(using: &generator) ? known : (known + 1) / 2
        note("forget \(inode) \(count) of \(known)")
        driver.forget(inode, count: count)
        if driver.lookups[inode] == nil { nodes[inode] = nil }
    }
}
