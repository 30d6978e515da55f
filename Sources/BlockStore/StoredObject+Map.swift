// An object's files and the records of its map, all under the object's lock.

import CPlatform
import Glibc
import Scheduling
import Synchronization

extension StoredObject {
    /// The loaded group of a block and the block's place in it; nil when nothing can be there.
    func find(_ block: Int, _ state: inout State) -> (BlockGroup, Int)? {
        guard block >= 0, block < blockCount else { return nil }
        let number = block / BlockGroup.blocks
        if let group = state.groups[number] { return (group, block % BlockGroup.blocks) }
        guard state.mayExist, let files = openFiles(&state, create: false) else { return nil }
        return (load(number, &state, files), block % BlockGroup.blocks)
    }

    /// Reads a group's records; what the file does not hold is absent.
    func load(_ number: Int, _ state: inout State, _ files: ObjectFiles) -> BlockGroup {
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
        state.groups[number] = group
        return group
    }

    /// Takes a block's record from the file as it is now.
    func reload(_ block: Int, _ group: BlockGroup, _ index: Int, _ files: ObjectFiles) {
        let bytes = Self.readMap(
            files.map, MapFormat.offset(ofBlock: block), MapFormat.recordSize)
        guard bytes.count == MapFormat.recordSize else {
            group.valid[index] = 0
            return
        }
        group.take(bytes, at: 0, index: index, allowed: Self.mask(0..<chunkCount(block)))
    }

    /// Up to `count` bytes of a map.
    static func readMap(_ fd: Int32, _ offset: Int64, _ count: Int) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: count) { memory, done in
            done = unsafe max(0, pail_pread_all(fd, memory.baseAddress, count, offset))
        }
    }

    @discardableResult
    func writeRecord(_ block: Int, _ group: BlockGroup, _ index: Int, _ files: ObjectFiles)
        -> Int32
    {
        let bytes = group.record(index)
        return unsafe bytes.withUnsafeBytes {
            unsafe pail_pwrite_all(
                files.map, $0.baseAddress, $0.count, MapFormat.offset(ofBlock: block))
        }
    }

    /// The object's files, opened when they are not. With `create` they are made; a map of another
    /// object or version is dropped and begun anew.
    func openFiles(_ state: inout State, create: Bool) -> ObjectFiles? {
        if let files = state.files { return files }
        guard create || state.mayExist, let header = MapFormat.header(identity) else { return nil }
        for _ in 0..<2 {
            switch tryOpen(header, create: create) {
            case .opened(let files):
                state.files = files
                state.mayExist = true
                state.bytes = files.bytesOnDisk
                store.registry.opened(self)
                return files
            case .alien:
                state.groups = [:]
                store.directory.removeObject(name)
                if create { continue }
                state.mayExist = false
                return nil
            case .failed(let reason):
                if create { store.trouble.writeFailed(reason) }
                if reason == ENOENT { state.mayExist = false }
                return nil
            }
        }
        return nil
    }

    private enum Opening {
        case opened(ObjectFiles)
        case alien
        case failed(Int32)
    }

    private func tryOpen(_ header: [UInt8], create: Bool) -> Opening {
        let flags = O_RDWR | (create ? O_CREAT : 0)
        // The map first: data without a map then never is somebody's beginning.
        let map = store.directory.openObject(name.mapPath, flags)
        guard map >= 0 else { return .failed(-map) }
        let data = store.directory.openObject(name.dataPath, flags)
        guard data >= 0 else {
            close(map)
            return .failed(-data)
        }
        let files = ObjectFiles(data: data, map: map)
        let found = Self.readMap(map, 0, MapFormat.headerSize)
        if found.isEmpty, create {
            let result = unsafe header.withUnsafeBytes {
                unsafe pail_pwrite_all(map, $0.baseAddress, $0.count, 0)
            }
            guard result == 0 else { return .failed(-result) }
        } else if MapFormat.identity(inHeader: found) != identity {
            return .alien
        }
        // Sparse, and as long as the object: what was never written reads as zeros.
        var status = stat()
        guard unsafe fstat(data, &status) == 0 else { return .failed(errno) }
        if status.st_size != identity.size, ftruncate(data, Int(identity.size)) != 0 {
            return .failed(errno)
        }
        return .opened(files)
    }

    /// The files were removed by somebody else: nothing is there any more.
    func abandonFiles(_ state: inout State) {
        state.files = nil
        state.groups = [:]
        state.mayExist = false
        state.bytes = 0
        state.wroteSinceFlush = false
        state.unsynced = nil
    }

    /// Notes a use for the next flush.
    func touch(_ state: inout State) {
        guard !state.isTouched else { return }
        state.isTouched = true
        state.lastUse = store.scheduler.now
        store.upkeep.touched(self)
    }
}
