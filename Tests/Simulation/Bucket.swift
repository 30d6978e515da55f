// The contents of a simulated bucket, and ListObjectsV2 over them. Pure data: no clock, no faults.

import S3

/// Keys in bytewise order, each with its object.
struct Bucket: Sendable {
    private(set) var keys: [ObjectKey] = []
    private(set) var objects: [ObjectKey: StoredObject] = [:]

    /// The object of a key, or nil.
    subscript(key: ObjectKey) -> StoredObject? { objects[key] }

    mutating func put(_ object: StoredObject) {
        if objects.updateValue(object, forKey: object.key) == nil {
            keys.insert(object.key, at: index(notBefore: object.key.bytes))
        }
    }

    /// Returns false when there was no such key.
    mutating func delete(_ key: ObjectKey) -> Bool {
        guard objects.removeValue(forKey: key) != nil else { return false }
        keys.remove(at: index(notBefore: key.bytes))
        return true
    }

    /// One page of ListObjectsV2.
    ///
    /// - Parameter maxKeys: already what the server is willing to give, common prefixes included.
    /// - Returns: nil when the token is not one of this server's.
    func list(_ request: ListRequest, maxKeys: Int) -> ListPage? {
        var page = ListPage(objects: [], commonPrefixes: [], nextToken: nil)
        guard maxKeys > 0 else { return page }
        var index = index(notBefore: request.prefix)
        // A token wins over start-after, as in S3.
        if let token = request.continuationToken {
            guard let last = Self.decode(token) else { return nil }
            index = max(index, place(after: last, in: request))
        } else if let startAfter = request.startAfter {
            index = max(index, self.index(after: startAfter))
        }
        var last: [UInt8] = []
        while index < keys.count, keys[index].bytes.starts(with: request.prefix) {
            if page.objects.count + page.commonPrefixes.count == maxKeys {
                page.nextToken = Self.encode(last)
                return page
            }
            let key = keys[index]
            if let common = Self.commonPrefix(of: key.bytes, in: request) {
                page.commonPrefixes.append(common)
                index = self.index(behind: common)
                last = common
            } else {
                page.objects.append(objects[key]!.summary)
                index += 1
                last = key.bytes
            }
        }
        return page
    }

    /// Up to and including the first `/` behind the request's prefix; nil when there is none.
    private static func commonPrefix(of key: [UInt8], in request: ListRequest) -> [UInt8]? {
        guard request.delimited else { return nil }
        guard let slash = key[request.prefix.count...].firstIndex(of: UInt8(ascii: "/")) else {
            return nil
        }
        return Array(key[...slash])
    }

    /// Where a listing goes on after its last entry, an object's key or a common prefix.
    private func place(after last: [UInt8], in request: ListRequest) -> Int {
        Self.commonPrefix(of: last, in: request) == last ? index(behind: last) : index(after: last)
    }

    private func index(notBefore bytes: [UInt8]) -> Int {
        firstIndex { !$0.lexicographicallyPrecedes(bytes) }
    }

    private func index(after bytes: [UInt8]) -> Int {
        firstIndex { bytes.lexicographicallyPrecedes($0) }
    }

    /// The first key that sorts after all keys with this prefix.
    private func index(behind prefix: [UInt8]) -> Int {
        firstIndex { !$0.lexicographicallyPrecedes(prefix) && !$0.starts(with: prefix) }
    }

    /// The first key of those for which `isBehind` holds; it must hold for all after it.
    private func firstIndex(_ isBehind: ([UInt8]) -> Bool) -> Int {
        var low = 0
        var high = keys.count
        while low < high {
            let middle = (low + high) / 2
            if isBehind(keys[middle].bytes) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// Tokens are opaque to clients: hexadecimal, so that nobody takes one for a key.
    private static func encode(_ bytes: [UInt8]) -> String {
        "t" + bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static func decode(_ token: String) -> [UInt8]? {
        let digits = Array(token.utf8)
        guard digits.first == UInt8(ascii: "t"), digits.count % 2 == 1 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 1, to: digits.count, by: 2) {
            let pair = String(decoding: digits[index...index + 1], as: UTF8.self)
            guard let byte = UInt8(pair, radix: 16) else { return nil }
            bytes.append(byte)
        }
        return bytes
    }
}
