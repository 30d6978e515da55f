// What the bucket may hold, by the model of the file system: for each path the contents it may show,
// and whether it may be missing.

import S3
import Simulation

/// The rule of one path.
struct PathRule {
    var inodes: Set<PosixModel.Number> = []
    var mayBeAbsent = false
}

struct BucketRules {
    var rules: [String: PathRule] = [:]
    /// Of each pair of paths at least one must be there: no rename loses a file.
    var pairs: [(String, String)] = []
    private var inodes: [PosixModel.Number: PosixModel.Inode] = [:]

    init(_ model: PosixModel) {
        for (number, path) in model.paths { rules[path] = PathRule(inodes: [number]) }
        inodes = model.inodes
    }

    /// A step was begun, and nobody knows whether it was carried out, or how much of it.
    mutating func doubt(_ before: PosixModel, _ after: PosixModel) {
        inodes.merge(before.inodes) { mine, _ in mine }
        inodes.merge(after.inodes) { mine, _ in mine }
        let (old, new) = (before.paths, after.paths)
        let oldPaths = Dictionary(uniqueKeysWithValues: old.map { ($1, $0) })
        let newPaths = Dictionary(uniqueKeysWithValues: new.map { ($1, $0) })
        for path in Set(old.values).union(new.values) where oldPaths[path] != newPaths[path] {
            var rule = rules[path] ?? PathRule()
            rule.inodes.formUnion([oldPaths[path], newPaths[path]].compactMap { $0 })
            rule.mayBeAbsent = true
            rules[path] = rule
        }
        for (number, path) in old {
            if let newPath = new[number], newPath != path { pairs.append((path, newPath)) }
        }
    }

    /// What is wrong with the bucket's objects below a prefix.
    ///
    /// - Parameters:
    ///   - strict: everything is published; else a file may also hold what it held since it was
    ///     acknowledged, and one that never was may be missing.
    ///   - removedMayShow: deletes that were answered may not have been carried out (power loss).
    func problems(
        _ objects: [StoredObject], prefix: [UInt8], logs: ContentLogs, strict: Bool,
        removedMayShow: Bool, isShared: (String) -> Bool
    ) -> [String] {
        var found: [String: StoredObject] = [:]
        var directories: Set<String> = []
        for object in objects where object.key.bytes.starts(with: prefix) {
            let path = String(decoding: object.key.bytes.dropFirst(prefix.count), as: UTF8.self)
            if isShared(path) || path.isEmpty { continue }
            var parts = path.split(separator: "/").map(String.init)
            if !path.hasSuffix("/") {
                found[path] = object
                parts.removeLast()
            }
            for count in 0..<parts.count {
                directories.insert(parts[...count].joined(separator: "/"))
            }
        }
        var problems: [String] = []
        for (path, rule) in rules.sorted(by: { $0.key < $1.key }) {
            let isThere = found[path] != nil || directories.contains(path)
            if let object = found.removeValue(forKey: path) {
                if let problem = problem(object, rule, logs, strict) {
                    problems.append("\(path): \(problem)")
                }
            }
            let mayBeAbsent =
                rule.mayBeAbsent
                || !strict
                    && rule.inodes.contains { number in
                        inodes[number]?.kind == .file && !logs[number].isAcknowledged
                    }
            if !isThere, !mayBeAbsent { problems.append("\(path) is not in the bucket") }
        }
        for (old, new) in pairs {
            let isThere = [old, new].contains { path in
                directories.contains(path)
                    || objects.contains { $0.key.bytes == prefix + Array(path.utf8) }
            }
            let wasSafe = rules[new]?.inodes.allSatisfy { number in
                inodes[number]?.kind != .file || logs[number].isAcknowledged
            }
            if !isThere, wasSafe ?? false {
                problems.append("\(old) is gone, and \(new) is not there")
            }
        }
        for (path, object) in found.sorted(by: { $0.key < $1.key }) {
            let isKnown = logs.everyState.contains(ContentLogs.state(of: object.bytes))
            if removedMayShow, isKnown { continue }
            problems.append("\(path) is in the bucket (\(object.size) bytes), and must not be")
        }
        for path in directories.sorted() where rules[path] == nil && !removedMayShow {
            problems.append("the directory \(path) is in the bucket, and must not be")
        }
        return problems
    }

    private func problem(
        _ object: StoredObject, _ rule: PathRule, _ logs: ContentLogs, _ strict: Bool
    ) -> String? {
        let state = ContentLogs.state(of: object.bytes)
        var kinds: [String] = []
        for number in rule.inodes.sorted() {
            guard let inode = inodes[number] else { continue }
            switch inode.kind {
            case .symbolicLink:
                if object.bytes == Array(inode.target.utf8) { return nil }
                kinds.append("a link")
            case .file:
                let log = logs[number]
                if log.isSpoilt { return nil }
                let isDoubted = rule.mayBeAbsent
                let allowed = strict && !isDoubted ? log.states.suffix(1) : log.states[...]
                if allowed.contains(state) { return nil }
                kinds.append(
                    log.states.contains(state)
                        ? "an older content of the file" : "not a content of the file")
            default: kinds.append("an object beside a directory")
            }
        }
        return "\(object.size) bytes, \(kinds.joined(separator: " or "))"
    }
}
