// An object's files and the records of its map. What asks the disk is called under `disk`.

import CPlatform
import Glibc
import Scheduling
import Synchronization

extension StoredObject {
    /// Groups that `open` reads at once: the records of 2 GiB, half a MiB of map. The rest follows
    /// in the background.
    static let groupsAtOnce = 8

    // MARK: In memory

    /// The group of a block and the block's place in it; nil when nothing is known to be there.
    func find(_ block: Int, _ state: borrowing State) -> (BlockGroup, Int)? {
        guard block >= 0, block < blockCount,
            let group = state.groups[block / BlockGroup.blocks]
        else { return nil }
        return (group, block % BlockGroup.blocks)
    }

    /// As `find`, with an empty group where there is none.
    func make(_ block: Int, _ state: inout State) -> (BlockGroup, Int) {
        let number = block / BlockGroup.blocks
        if let group = state.groups[number] { return (group, block % BlockGroup.blocks) }
        let group = BlockGroup(blocks: min(BlockGroup.blocks, blockCount - block / 256 * 256))
        state.groups[number] = group
        return (group, block % BlockGroup.blocks)
    }

    /// Everything on disk is gone.
    func abandonFiles(_ state: inout State) {
        state.files = nil
        state.groups = [:]
        state.known = Self.groupCount(identity.size)
        state.mayExist = false
        state.generation += 1
        state.wroteSinceFlush = false
        state.needsHeader = false
    }

    /// Notes a use for the next flush.
    func touch(_ state: inout State) {
        guard !state.isTouched else { return }
        state.isTouched = true
        state.lastUse = store.scheduler.now
        store.upkeep.touched(self)
    }

    // MARK: Reading the map

    /// Makes known what is on disk: at once as far as that is quick, the rest in the background.
    /// Called by `open`; never waits for another thread's work on the disk.
    func prepare() {
        guard state.withLock({ $0.mayExist && $0.known == 0 && !$0.isLoading }) else { return }
        let done: Bool? = disk.withLockIfAvailable { _ in
            loadNext()
            if store.registry.isFull {
                // Their time comes when a block is read.
                let files = state.withLock { state in
                    defer { state.files = nil }
                    return state.files
                }
                store.registry.closed(self)
                withExtendedLifetime(files) {}
            }
            return state.withLock { $0.known == Self.groupCount(identity.size) }
        }
        if done != true { loadRest() }
    }

    /// Reads the rest of the map in the background, piece by piece.
    func loadRest() {
        let starts = state.withLock { state in
            defer { state.isLoading = true }
            return !state.isLoading
        }
        guard starts else { return }
        store.scheduler.run { [self] in
            while disk.withLock({ _ in loadNext() }) {}
            state.withLock { $0.isLoading = false }
        }
    }

    /// Reads the next groups.
    ///
    /// - Returns: false when there are no more.
    @discardableResult
    private func loadNext() -> Bool {
        let first = state.withLock { $0.known }
        let all = Self.groupCount(identity.size)
        guard first < all, let files = openFiles(create: false) else {
            state.withLock { $0.known = all }
            return false
        }
        var last = min(first + Self.groupsAtOnce, all)
        let start = MapFormat.offset(ofBlock: first * BlockGroup.blocks)
        // A map is sparse: long stretches of nothing need not be read.
        let data = pail_lseek(files.map, start, pail_SEEK_DATA)
        if data == -Int64(ENXIO) {
            last = all
        } else {
            let block = Int((max(data, start) - start) / Int64(MapFormat.recordSize))
            let skipped = first + block / BlockGroup.blocks
            last = max(min(skipped + Self.groupsAtOnce, all), last)
            for number in max(first, skipped)..<last { load(number, files) }
        }
        return state.withLock { state in
            if state.known == first { state.known = last }
            return state.known < all
        }
    }

    /// Reads a group's records if that was not done; what the file does not hold is absent.
    func load(_ number: Int, _ files: ObjectFiles) {
        guard state.withLock({ number >= $0.known && $0.groups[number] == nil }) else { return }
        let first = number * BlockGroup.blocks
        let group = BlockGroup(blocks: min(BlockGroup.blocks, blockCount - first))
        let bytes = Self.readMap(
            files.map, MapFormat.offset(ofBlock: first),
            group.valid.count * MapFormat.recordSize)
        for index in 0..<bytes.count / MapFormat.recordSize {
            group.take(
                bytes, at: index * MapFormat.recordSize, index: index,
                allowed: Self.mask(0..<chunkCount(first + index)))
        }
        guard !group.isEmpty else { return }
        state.withLock { $0.groups[number] = group }
    }

    /// Up to `count` bytes of a map.
    static func readMap(_ fd: Int32, _ offset: Int64, _ count: Int) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: count) { memory, done in
            done = unsafe max(0, pail_pread_all(fd, memory.baseAddress, count, offset))
        }
    }

    /// Writes records of neighbouring blocks, beginning with `block`. Returns 0 or -errno.
    @discardableResult
    func writeRecords(_ block: Int, _ bytes: [UInt8], _ files: ObjectFiles) -> Int32 {
        unsafe bytes.withUnsafeBytes {
            unsafe pail_pwrite_all(
                files.map, $0.baseAddress, $0.count, MapFormat.offset(ofBlock: block))
        }
    }

    // MARK: Files

    /// The object's files, opened when they are not. With `create` they are made; a map of another
    /// object or version is dropped and begun anew.
    func openFiles(create: Bool) -> ObjectFiles? {
        let (open, mayExist) = state.withLock { ($0.files, $0.mayExist) }
        if let open { return open }
        guard create || mayExist, let header = MapFormat.header(identity) else { return nil }
        for _ in 0..<2 {
            switch tryOpen(header, create: create) {
            case .opened(let files, let isNew):
                let mustLoad = state.withLock { state in
                    if isNew { abandonFiles(&state) }
                    state.needsHeader = isNew
                    state.files = files
                    defer { state.mayExist = true }
                    guard !state.mayExist, !isNew else { return false }
                    // Another process made it.
                    state.known = 0
                    state.groups = [:]
                    return true
                }
                store.registry.opened(self)
                if mustLoad, create { loadRest() }
                return files
            case .alien(let files):
                // Not removed: only an edit of the index does that.
                files.cut()
                state.withLock { abandonFiles(&$0) }
                if !create { return nil }
            case .failed(let reason):
                if create { store.trouble.writeFailed(reason) }
                if reason == ENOENT { state.withLock { abandonFiles(&$0) } }
                return nil
            }
        }
        return nil
    }

    private enum Opening {
        case opened(ObjectFiles, isNew: Bool)
        case alien(ObjectFiles)
        case failed(Int32)
    }

    private func tryOpen(_ header: [UInt8], create: Bool) -> Opening {
        let flags = O_RDWR | (create ? O_CREAT : 0)
        // The map first: data without a map then never is somebody's beginning.
        let map = store.directory.openObject(name.mapPath, flags)
        guard map >= 0 else { return .failed(-map) }
        let files: ObjectFiles
        if MapFormat.isSmall(identity) {
            files = ObjectFiles(map: map, data: nil)
        } else {
            let data = store.directory.openObject(name.dataPath, flags)
            guard data >= 0 else {
                close(map)
                return .failed(-data)
            }
            files = ObjectFiles(map: map, data: data)
        }
        var status = stat()
        guard unsafe fstat(map, &status) == 0 else { return .failed(errno) }
        // The header of a new map is written with its first records.
        if status.st_size == 0 {
            return create ? .opened(files, isNew: true) : .failed(ENOENT)
        }
        let found = Self.readMap(map, 0, header.count)
        return found == header ? .opened(files, isNew: false) : .alien(files)
    }
}
