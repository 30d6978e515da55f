import S3
import Simulation
import Testing

@testable import FileSystem

@Suite struct KeyEscapeTests {
    private func names(_ component: String, asFile: Bool = false) -> [String] {
        KeyEscape.names(component: Array(component.utf8), asFile: asFile).map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    @Test func ordinaryNamesAreNeverTouched() {
        for name in [
            "cat.png", "한국어 사진.jpg", "a b+c%20&=#?~", "...", ".hidden", "@pail", "x@pail-nam",
        ] {
            #expect(names(name) == [name])
        }
        let long = String(repeating: "가", count: 85)
        #expect(names(long) == [long])
    }

    @Test func onlyImpossibleNamesAreEscaped() {
        #expect(names("") == ["@pail-name"])
        #expect(names(".") == [".@pail-name"])
        #expect(names("..") == ["..@pail-name"])
        #expect(names("x@pail-name") == ["x@pail-name@pail-name"])
        #expect(names("a", asFile: true) == ["a@pail-file"])
        #expect(names("", asFile: true) == ["@pail-file"])
    }

    @Test func longComponentsAreSpreadAtCharacters() {
        let names = names(String(repeating: "가", count: 300))
        #expect(names.count == 4)
        for name in names.dropLast() {
            #expect(name.hasSuffix("@pail-more") && name.utf8.count <= 255)
        }
        #expect(names.map { $0.replacing("@pail-more", with: "") }.joined().utf8.count == 900)
    }

    @Test func everyKeyOfAHostileBucketIsReachedUnderOnePath() throws {
        for seed in UInt64(1)...40 { try check(seed: seed) }
    }

    /// Fills a bucket with hostile keys, walks it by readdir and by lookup, and compares.
    private func check(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let root = seed % 2 == 0 ? "" : "base/"
        let world = NamespaceWorld(seed: seed, rootPrefix: root, roundTrip: .milliseconds(1))
        if seed % 3 == 0 { world.store.faults.shortPages = 0.7 }
        var keys: Set<[UInt8]> = []
        for _ in 0..<Int.random(in: 1...60, using: &generator) {
            let key = hostileKey(&generator, known: keys)
            guard !key.isEmpty, key.count + root.utf8.count <= 1024 else { continue }
            keys.insert(key)
            let size = Int.random(in: 0...1, using: &generator)
            world.store.put(ObjectKey(Array(root.utf8) + key), generator.bytes(size))
        }
        world.store.put(ObjectKey("basement"), [1])
        if root.isEmpty { keys.insert(Array("basement".utf8)) }
        var found: [[UInt8]: String] = [:]
        try walk(world, 1, "", isByLookup: false, seed: seed, &found)
        let expected = Set(keys.map { Array(root.utf8) + $0 }).filter {
            // A zero-byte marker is its directory.
            !($0.last == 0x2F && world.store.object(ObjectKey($0))?.size == 0)
        }
        #expect(Set(found.keys) == Set(expected), "seed \(seed)")

        // The same paths by lookups alone, on a mount that has listed nothing.
        let fresh = NamespaceWorld(seed: seed, rootPrefix: root, ttl: seed % 5 == 0 ? .zero : nil)
        for object in world.store.objects { fresh.store.put(object.key, object.bytes) }
        for (key, path) in found {
            var inode: UInt64 = 1
            for name in path.split(separator: "\u{0}") {
                let bytes = name.utf8.split(separator: UInt8(ascii: ",")).map {
                    UInt8(String($0)!)!
                }
                guard let child = try fresh.lookup(bytes, in: inode).get() else {
                    Issue.record("seed \(seed): no \(ObjectKey(bytes)) for \(ObjectKey(key))")
                    return
                }
                inode = child.inode
            }
            #expect(fresh.namespace.version(of: inode)?.key.bytes == key, "seed \(seed)")
        }
    }

    private func walk(
        _ world: NamespaceWorld, _ inode: UInt64, _ path: String, isByLookup: Bool, seed: UInt64,
        _ found: inout [[UInt8]: String]
    ) throws {
        let rows = try world.list(inode, room: 7)
        #expect(Set(rows.map(\.name)).count == rows.count, "seed \(seed): repeated name")
        for row in rows {
            #expect(row.name.count <= 255 && !row.name.contains(0x2F))
            let path = path + "\u{0}" + row.name.map(String.init).joined(separator: ",")
            #expect(row.hasEntry)
            if row.attributes.kind == .directory {
                try walk(
                    world, row.attributes.inode, path, isByLookup: isByLookup, seed: seed, &found)
            } else if let key = world.namespace.version(of: row.attributes.inode)?.key.bytes {
                #expect(found.updateValue(path, forKey: key) == nil, "seed \(seed): two paths")
            }
        }
    }

    private func hostileKey(_ generator: inout SeededGenerator, known: Set<[UInt8]>) -> [UInt8] {
        let parts = [
            "", ".", "..", "a", "a", "b", "a-b", "a.b", "a!", "é", "@pail-name", "@pail-file",
            "x@pail-more",
            "@pail-more", "a@pail-name", "a@pail-file", "..@pail-name",
        ]
        var components: [[UInt8]] = []
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
            switch Int.random(in: 0..<12, using: &generator) {
            case 0:
                // Around every limit: plain, with suffix, one cut, two cuts; some cut characters.
                let length = [
                    239, 240, 241, 245, 246, 250, 255, 256, 266, 479, 480, 481, 490, 496, 600,
                ].randomElement(using: &generator)!
                let unit = ["a", "é", "가", "😀"].randomElement(using: &generator)!
                var bytes: [UInt8] = generator.chance(0.5) ? [] : [0x62]
                while bytes.count < length { bytes += unit.utf8 }
                let cut = generator.chance(0.5) ? Array(bytes.prefix(length)) : bytes
                components.append(generator.chance(0.2) ? cut + Array("@pail-name".utf8) : cut)
            case 1: components.append(generator.bytes(3).map { $0 == 0 || $0 == 0x2F ? 1 : $0 })
            default: components.append(Array(parts.randomElement(using: &generator)!.utf8))
            }
        }
        var key = Array(components.joined(separator: [0x2F]))
        if generator.chance(0.3),
            let other = known.sorted(by: { $0.lexicographicallyPrecedes($1) }).randomElement(
                using: &generator)
        {
            key = other + (generator.chance(0.5) ? [0x2F] : [0x2F] + key)
        }
        return key
    }
}
