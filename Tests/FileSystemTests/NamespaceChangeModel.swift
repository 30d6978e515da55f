// What a name may show: the truth of each path over time, as the bucket and changes made here have
// it.

import S3
import Simulation

/// What is under a path.
enum ShownState: Hashable {
    case none, directory
    /// Every version that is ever made has another size.
    case file(Int64)
}

/// A change made here that the bucket does not have yet.
struct PendingChange {
    var path: String
    var version: Int
    var inode: UInt64?
    var parent: UInt64
    var state: ShownState

    var name: String { String(path.split(separator: "/").last!) }
}

/// The truth of every path over time.
struct ChangeModel {
    static let names = ["a", "b", "c", "d"]
    static let children = ["a", "x"]
    static let paths = names + names.flatMap { name in children.map { name + "/" + $0 } }

    var unsettled: [String: (state: ShownState, version: Int)] = [:]
    var pending: [PendingChange] = []
    /// Directories that may go on existing without a key.
    var mayBeKept: Set<String> = []
    private var timelines: [String: [(time: Duration, state: ShownState)]] = [:]
    /// When something was last done here about a path: an operation or its settling.
    private var touched: [String: Duration] = [:]
    private var versions = 0
    /// When a directory was made here: it is believed empty from then on, for the TTL.
    private var made: [String: Duration] = [:]

    mutating func change(
        _ path: String, _ state: ShownState, inode: UInt64?, parent: UInt64, at now: Duration
    ) {
        versions += 1
        unsettled[path] = (state, versions)
        pending.append(
            PendingChange(
                path: path, version: versions, inode: inode, parent: parent, state: state))
        touched[path] = now
        if let slash = path.firstIndex(of: "/") { mayBeKept.insert(String(path[..<slash])) }
        if state == .none { mayBeKept.remove(path) }
        if state == .directory { made[path] = now }
    }

    mutating func settle(_ path: String, at now: Duration) {
        // What was true here may be believed for the TTL from now on.
        if let state = unsettled.removeValue(forKey: path)?.state {
            timelines[path, default: []].append((now, state))
        }
        touched[path] = now
    }

    /// A directory has another name, in the bucket too.
    mutating func rename(_ path: String, to newPath: String, at now: Duration) {
        for child in Self.children {
            unsettled[newPath + "/" + child] = unsettled.removeValue(forKey: path + "/" + child)
        }
        for index in pending.indices where pending[index].path.hasPrefix(path + "/") {
            pending[index].path = newPath + pending[index].path.dropFirst(path.count)
        }
        unsettled[path] = nil
        unsettled[newPath] = nil
        // What was believed of the children goes along.
        for child in Self.children {
            let (from, to) = (path + "/" + child, newPath + "/" + child)
            timelines[to] = timelines[from]
            touched[to] = touched[from]
        }
        for changed in Self.paths {
            let isTouched = [path, newPath].contains {
                changed == $0 || $0 == path && changed.hasPrefix(path + "/")
            }
            if isTouched { touched[changed] = now }
        }
        made[newPath] = made.removeValue(forKey: path)
        timelines[path, default: []].append((now, .none))
        timelines[newPath, default: []].append((now, .directory))
        mayBeKept.remove(path)
        mayBeKept.insert(newPath)
    }

    /// Takes note of what is true now.
    mutating func note(_ keys: [ObjectKey: Int64], at now: Duration) {
        for path in Self.paths {
            let state = unsettled[path]?.state ?? Self.state(of: path, keys)
            if timelines[path]?.last?.state != state {
                timelines[path, default: []].append((now, state))
            }
        }
    }

    private static func state(of path: String, _ keys: [ObjectKey: Int64]) -> ShownState {
        let prefix = Array((path + "/").utf8)
        if keys.keys.contains(where: { $0.bytes.starts(with: prefix) }) { return .directory }
        return keys[ObjectKey(path)].map { .file($0) } ?? .none
    }

    /// All that an answer may say of a path.
    func possible(_ path: String, from start: Duration, to end: Duration) -> Set<ShownState> {
        let begin = max(start, touched[path] ?? .zero)
        var states: Set<ShownState> = []
        let timeline = timelines[path] ?? []
        for (index, event) in timeline.enumerated() where event.time <= end {
            let isPast = index + 1 < timeline.count && timeline[index + 1].time < begin
            if !isPast { states.insert(event.state) }
        }
        if let slash = path.firstIndex(of: "/"), unsettled[path] == nil,
            let made = made[String(path[..<slash])], made >= start
        {
            states.insert(.none)
        }
        if mayBeKept.contains(path), unsettled[path] == nil { states.insert(.directory) }
        return states
    }

    func isTouched(_ path: String, since time: Duration) -> Bool {
        (touched[path] ?? .zero) >= time && touched[path] != nil
    }
}
