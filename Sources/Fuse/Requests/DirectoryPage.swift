// A page of names on its way to the kernel.
//
// The page's memory is taken when the first name comes, so a listing that waits for the network
// holds none. Pages are kept for reuse (fresh memory is slow on first touch). One thread fills a page
// and finishes it; an interrupt may answer meanwhile and touches none of the page's memory.

internal import CFuse
internal import Glibc
internal import Operations
internal import Synchronization

/// The answer of one readdir or readdirplus. Dropped unanswered it is EIO.
@safe final class DirectoryPage: DirectoryReply, @unchecked Sendable {
    let plus: Bool
    private let request: Request
    private let answered = Atomic<Bool>(false)
    private var memory: UnsafeMutablePointer<CChar>?
    private var used = 0
    /// Inodes whose lookups this page counts, to be given back if the kernel does not take it.
    private var counted: [InodeNumber] = []

    init(request: Request, plus: Bool) {
        self.request = request
        self.plus = plus
    }

    deinit {
        fail(.inputOutput)
        if let memory = unsafe memory {
            unsafe request.core.pages.give(memory, request.size)
        }
    }

    var isAnswered: Bool { answered.load(ordering: .acquiring) }

    func add(
        name: some Collection<UInt8>, attributes: FileAttributes, entryTimeout: Duration?,
        attributesTimeout: Duration, nextOffset: UInt64
    ) -> Bool {
        if unsafe memory == nil { unsafe memory = request.core.pages.take(request.size) }
        guard let memory = unsafe memory else { return false }
        let room = request.size - used
        let count = name.count
        let needed = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: count + 1) {
            text in
            let copied: Void? = name.withContiguousStorageIfAvailable { bytes in
                unsafe UnsafeMutableRawBufferPointer(text)
                    .copyMemory(from: UnsafeRawBufferPointer(bytes))
            }
            if copied == nil {
                for (index, byte) in name.enumerated() {
                    unsafe text[index] = CChar(bitPattern: byte)
                }
            }
            unsafe text[count] = 0
            let place = unsafe memory.advanced(by: used)
            if plus {
                var entry = EntryAnswer(
                    attributes: attributes, entryTimeout: entryTimeout ?? .zero,
                    attributesTimeout: attributesTimeout
                ).parameters
                // Inode 0: the kernel takes the name and d_type (from attr) and counts no lookup.
                if entryTimeout == nil { entry.ino = 0 }
                return unsafe fuse_add_direntry_plus(
                    nil, place, room, text.baseAddress, &entry, off_t(Int64(bitPattern: nextOffset))
                )
            }
            var status = attributes.status
            return unsafe fuse_add_direntry(
                nil, place, room, text.baseAddress, &status, off_t(Int64(bitPattern: nextOffset)))
        }
        guard needed <= room else { return false }
        used += needed
        if plus, entryTimeout != nil { counted.append(attributes.inode) }
        return true
    }

    func finish() {
        guard claim() else { return giveBack() }
        request.deliver(.success(self)) { request, result in
            guard case .success(let page) = result else { return }
            if unsafe fuse_reply_buf(request.raw, page.memory, page.used) != 0 {
                page.giveBack()
            } else {
                // The kernel has them now, and will forget them itself.
                page.counted = []
            }
        }
    }

    func fail(_ errno: Errno) {
        giveBack()
        guard claim() else { return }
        request.deliver(Result<Void, Errno>.failure(errno), Answers.done)
    }

    /// Answers EINTR; the names added so far, and to come, are given back when the page finishes.
    func interrupt() {
        guard claim() else { return }
        request.deliver(Result<Void, Errno>.failure(.interrupted), Answers.done)
    }

    private func claim() -> Bool {
        !answered.exchange(true, ordering: .acquiringAndReleasing)
    }

    private func giveBack() {
        guard !counted.isEmpty else { return }
        let inodes = counted
        counted = []
        request.core.notifier.run { [core = request.core] in
            for inode in inodes { core.operations?.forget(inode: inode, count: 1) }
        }
    }
}

extension Request {
    /// Parks the request if its page is still owed.
    func settle(_ page: DirectoryPage) {
        if page.isAnswered { return }
        park { [weak page] in page?.interrupt() }
    }
}

/// Memory for pages of names, a few of which are kept. Locks: one leaf mutex.
@safe final class PageMemory: Sendable {
    @safe private struct Kept: @unchecked Sendable {
        var memory: UnsafeMutablePointer<CChar>
        var size: Int
    }
    /// Pages kept at most: as many as directories are usually walked at once.
    private static let keep = 4
    private let kept = Mutex<[Kept]>([])

    deinit {
        kept.withLock { kept in
            for page in kept { unsafe page.memory.deallocate() }
        }
    }

    /// Memory of `size` bytes, not cleared.
    func take(_ size: Int) -> UnsafeMutablePointer<CChar> {
        let found: Kept? = kept.withLock { kept in
            guard let index = kept.firstIndex(where: { $0.size == size }) else {
                return nil
            }
            return kept.remove(at: index)
        }
        if let found = found { return unsafe found.memory }
        return .allocate(capacity: size)
    }

    func give(_ memory: UnsafeMutablePointer<CChar>, _ size: Int) {
        let page = unsafe Kept(memory: memory, size: size)
        let dropped: Kept? = kept.withLock { kept in
            kept.append(page)
            return kept.count > Self.keep ? kept.removeFirst() : nil
        }
        if let dropped = dropped { unsafe dropped.memory.deallocate() }
    }
}
