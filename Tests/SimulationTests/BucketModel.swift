// The reference model: what each name may be said to be, from the history of the bucket's keys.
//
// The file system may answer from what it learned within the metadata TTL, and different requests meet
// the bucket at different times. So the model judges over a window of time: which versions an object
// had in it, and whether a directory was there or missing at some time in it.

import S3
import Simulation

/// What a name was in a window of time.
struct NameHistory {
    /// The object's states in the window, oldest first; nil where there was none.
    var states: [StoredObject?]
    /// There was a directory of this name at some time.
    var wasDirectory: Bool
    /// There was none at some time.
    var lackedDirectory: Bool
    /// The name stands for the object only where a directory has its plain name.
    var isEscaped: Bool

    var versions: [StoredObject] { states.compactMap { $0 } }
    /// The name may be said to be this file.
    var mayBeFile: Bool { !versions.isEmpty && (isEscaped ? wasDirectory : lackedDirectory) }
    var mayBeDirectory: Bool { !isEscaped && wasDirectory }
    /// The name may be said not to exist.
    var mayBeAbsent: Bool {
        let lackedObject = states.contains { $0 == nil }
        return isEscaped ? lackedObject || lackedDirectory : lackedObject && lackedDirectory
    }
    /// The name showed as a file, of whatever version, all the time.
    var isFileThroughout: Bool { !mayBeAbsent && !mayBeDirectory && mayBeFile }
    /// The name showed as a directory all the time.
    var isDirectoryThroughout: Bool { !isEscaped && !lackedDirectory }
}

struct BucketModel {
    let store: SimulatedStore
    static let escape = Array("@pail-file".utf8)

    /// The key a file name stands for, in the directory of a prefix.
    static func key(_ prefix: [UInt8], _ name: [UInt8]) -> ObjectKey {
        ObjectKey(prefix + (isEscaped(name) ? Array(name.dropLast(escape.count)) : name))
    }

    static func isEscaped(_ name: [UInt8]) -> Bool { name.suffix(escape.count) == escape[...] }

    /// What a name was between two times, both included.
    func history(
        _ prefix: [UInt8], _ name: [UInt8], from start: Duration, to end: Duration
    ) -> NameHistory {
        let isEscaped = Self.isEscaped(name)
        let key = Self.key(prefix, name)
        var states = Self.states(store.history(of: key), from: start, to: end)
        if key.bytes == prefix {
            // A marker shows as a file only when it has a body; its directory is the one looked into.
            states = states.map { $0.flatMap { $0.bytes.isEmpty ? nil : $0 } }
            return NameHistory(
                states: states, wasDirectory: true, lackedDirectory: false, isEscaped: true)
        }
        let below = key.bytes + [UInt8(ascii: "/")]
        let histories = store.everyKey.filter { $0.bytes.starts(with: below) }
            .map { store.history(of: $0) }
        let was = histories.contains { history in
            Self.states(history, from: start, to: end).contains { $0 != nil }
        }
        return NameHistory(
            states: states, wasDirectory: was,
            lackedDirectory: Self.lackedAll(histories, from: start, to: end),
            isEscaped: isEscaped)
    }

    /// The names that a directory's listing could have had at any time.
    func namesEver(in prefix: [UInt8]) -> Set<[UInt8]> {
        var names: Set<[UInt8]> = [Self.escape]
        for key in store.everyKey where key.bytes.starts(with: prefix) {
            let rest = key.bytes.dropFirst(prefix.count)
            guard let first = rest.split(separator: UInt8(ascii: "/")).first else { continue }
            names.insert(Array(first))
            names.insert(Array(first) + Self.escape)
        }
        return names
    }

    /// The tree as it is now: path below the prefix, without a leading slash, to object (nil for a
    /// directory).
    func tree(of prefix: [UInt8]) -> [[UInt8]: StoredObject?] {
        var tree: [[UInt8]: StoredObject?] = [:]
        let slash = UInt8(ascii: "/")
        let objects = store.objects.filter { $0.key.bytes.starts(with: prefix) }
        for object in objects {
            let rest = Array(object.key.bytes.dropFirst(prefix.count))
            for (index, byte) in rest.enumerated() where byte == slash {
                tree[Array(rest[..<index])] = .some(nil)
            }
        }
        for object in objects {
            let rest = Array(object.key.bytes.dropFirst(prefix.count))
            let isMarker = rest.last == slash || rest.isEmpty
            if isMarker && object.bytes.isEmpty { continue }
            let hasDirectory = isMarker || tree[rest] != nil
            tree[hasDirectory ? rest + Self.escape : rest] = object
        }
        return tree
    }

    /// The states of one key in a window: the one at its start, and every later one.
    static func states(
        _ history: [KeyChange], from start: Duration, to end: Duration
    ) -> [StoredObject?] {
        var states: [StoredObject?] = [nil]
        for change in history where change.time <= end {
            // A change at the very start may come before or after what looks at it.
            if change.time < start {
                states = [change.object]
            } else {
                states.append(change.object)
            }
        }
        return states
    }

    /// True when at some time in the window none of the keys was there.
    private static func lackedAll(
        _ histories: [[KeyChange]], from start: Duration, to end: Duration
    ) -> Bool {
        let times =
            [start] + histories.flatMap { $0.map(\.time) }.filter { start < $0 && $0 <= end }
        return times.contains { time in
            histories.allSatisfy { states($0, from: time, to: time).contains { $0 == nil } }
        }
    }
}
