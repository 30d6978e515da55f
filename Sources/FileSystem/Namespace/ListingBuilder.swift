// From pages of ListObjectsV2 to names: merges objects and common prefixes, settles which name an
// object gets, applies the escape.
//
// An object `a` gives way to a prefix `a/`, which may come on a later page, behind `a-b` and `a.c`
// ('-' and '.' sort before '/'). So an object is held back until the listing has passed `name/`.
// That makes the order the one of `name/`, the same for every page size. Held back are only names
// that are beginnings of each other: as many as a key has bytes at the very most. Knows no inodes.

import S3

/// One name as a listing gives it.
struct ListedName {
    var name: [UInt8]
    /// Nil for a directory.
    var object: ObjectSummary?
}

/// Turns the pages of one directory into names, in order and without repetition within a page.
struct ListingBuilder {
    let prefix: [UInt8]
    let spelt: Int
    /// The directory's own marker object.
    private(set) var marker: ObjectSummary?
    /// A key was seen, be it only the marker.
    private(set) var sawAny = false
    /// Objects that wait for their `name/` to be passed, outermost first.
    private var pending: [ObjectSummary] = []

    init(prefix: [UInt8], spelt: Int) {
        self.prefix = prefix
        self.spelt = spelt
    }

    /// The names settled by a page.
    mutating func add(_ page: ListPage) -> [ListedName] {
        var names: [ListedName] = []
        names.reserveCapacity(page.objects.count + page.commonPrefixes.count)
        var objects = page.objects[...]
        var prefixes = page.commonPrefixes[...]
        while true {
            if let object = objects.first,
                prefixes.first.map({ object.key.bytes.lexicographicallyPrecedes($0) }) ?? true
            {
                objects.removeFirst()
                add(object: object, to: &names)
            } else if let common = prefixes.popFirst() {
                add(prefix: common, to: &names)
            } else {
                break
            }
        }
        if page.nextToken == nil { settle(before: nil, to: &names) }
        return names
    }

    private mutating func add(object: ObjectSummary, to names: inout [ListedName]) {
        guard object.key.bytes.starts(with: prefix) else { return }
        sawAny = true
        settle(before: object.key.bytes, to: &names)
        if object.key.bytes.count == prefix.count {
            guard spelt == 0 else { return }
            marker = object
            if object.size > 0 { emit([], object, asFile: true, to: &names) }
        } else {
            pending.append(object)
        }
    }

    private mutating func add(prefix common: [UInt8], to names: inout [ListedName]) {
        guard common.starts(with: prefix), common.count > prefix.count, common.last == 0x2F
        else { return }
        sawAny = true
        settle(before: common, to: &names)
        let rest = Array(common[prefix.count...].dropLast())
        emit(rest, nil, asFile: false, to: &names)
        if let object = pending.last, object.key.bytes.count == common.count - 1 {
            pending.removeLast()
            emit(rest, object, asFile: true, to: &names)
        }
    }

    /// Emits the objects held back whose `name/` sorts before `key` (nil: all).
    private mutating func settle(before key: [UInt8]?, to names: inout [ListedName]) {
        while let object = pending.last {
            let held = object.key.bytes
            if let key, key.count > held.count, key[held.count] <= 0x2F, key.starts(with: held) {
                return
            }
            pending.removeLast()
            emit(Array(held[prefix.count...]), object, asFile: false, to: &names)
        }
    }

    private func emit(
        _ rest: [UInt8], _ object: ObjectSummary?, asFile: Bool, to names: inout [ListedName]
    ) {
        guard !rest.contains(0) else { return }
        let component = spelt == 0 ? rest[...] : (prefix.suffix(spelt) + rest)[...]
        switch KeyEscape.shown(component: component, spelt: spelt, asFile: asFile) {
        case .name(let name): names.append(ListedName(name: name, object: object))
        case .more(let name):
            if names.last?.name != name { names.append(ListedName(name: name, object: nil)) }
        case nil: break
        }
    }
}
