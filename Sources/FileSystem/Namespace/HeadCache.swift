// What only headers tell of an object (content type, version id, user metadata), for inodes in use.
//
// Bounded by number: at the limit the oldest half is dropped. An entry counts only together with
// the ETag it came with. Also joins requests for the same inode.

import Operations
import S3

/// Heads by inode.
struct HeadCache {
    typealias Waiter =
        @Sendable (inout NamespaceState, Result<ObjectHead, StoreError>) -> Void

    /// About 500 bytes each with usual metadata: 1 MiB.
    private static let limit = 2048
    private var heads: [InodeNumber: ObjectHead] = [:]
    private var order: [InodeNumber] = []
    private var waiters: [InodeNumber: [Waiter]] = [:]
    /// Requests under way whose inode was changed here meanwhile.
    private var outdated: Set<InodeNumber> = []

    /// The head seen with this ETag.
    func head(of number: InodeNumber, etag: ETag) -> ObjectHead? {
        heads[number].flatMap { $0.etag == etag ? $0 : nil }
    }

    mutating func insert(_ head: ObjectHead, for number: InodeNumber) {
        if heads.updateValue(head, forKey: number) == nil { order.append(number) }
        guard order.count > Self.limit else { return }
        for old in order.prefix(Self.limit / 2) { heads[old] = nil }
        order.removeFirst(Self.limit / 2)
    }

    mutating func remove(_ number: InodeNumber) {
        guard heads.removeValue(forKey: number) != nil else { return }
        order.removeAll { $0 == number }
    }

    /// Adds a waiter; true when a request is under way already.
    mutating func join(_ number: InodeNumber, _ waiter: @escaping Waiter) -> Bool {
        let isUnderWay = waiters[number] != nil
        waiters[number, default: []].append(waiter)
        return isUnderWay
    }

    /// Takes all waiters, and says whether the answer is outdated.
    mutating func leave(_ number: InodeNumber) -> (waiters: [Waiter], isOutdated: Bool) {
        let isOutdated = outdated.remove(number) != nil
        return (waiters.removeValue(forKey: number) ?? [], isOutdated)
    }

    /// What is under way for an inode is of an earlier state.
    mutating func outdate(_ number: InodeNumber) {
        if waiters[number] != nil { outdated.insert(number) }
    }

    /// The same for all inodes.
    mutating func outdateAll() { outdated.formUnion(waiters.keys) }
}
