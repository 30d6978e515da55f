// Blocks of objects in a cache directory that any number of processes share.
//
// An identity names exact bytes, so that whatever two processes do to the same object's files is
// idempotent, and every chunk has a checksum, so that whatever goes wrong between them is a miss.
// Never reads a directory or the network on the data path; never serves a byte that was not checked.
//
// `open`, `present` and `store` are called by threads that must not wait: they touch memory, and
// `open` the .map of an object that is known to be cached (16 us, more than half a MiB of it is read
// in the background). Files are made, written, closed and removed by writers.
//
// Locks, outermost first: Upkeep's bookkeeping (writers only), an object's disk, its state, then the
// leaves: the registry, the queue, the space, the trouble, the list of touched objects.

import Glibc
public import Logging
public import Scheduling

/// The block store of one cache directory.
public final class DiskBlockStore: BlockStorage {
    let directory: CacheDirectory
    let registry: Registry
    let queue: WriteQueue
    let trouble: Trouble
    let upkeep: Upkeep
    let scheduler: any Scheduler
    /// Bytes that a writer takes from one object at a time.
    let batchLimit: Int

    /// Opens the directory, creating what is missing, and takes account of what is there. After
    /// another process died with the directory open, the account is made anew in the background.
    ///
    /// - Parameters:
    ///   - directory: `--cache-dir`.
    ///   - limit: bytes on disk that all objects may take, `--cache-size`.
    ///   - keepFree: bytes that must stay free on its file system, `--cache-free`.
    ///   - scheduler: runs the writers, at most `writers` at once.
    ///   - queueLimit: bytes of blocks that may wait to be written; more are dropped. They hold
    ///     their callers' memory, so at most a quarter of the memory limit is sensible.
    /// - Throws: when the directory cannot be used at all; the error is one line for the user.
    public init(
        directory path: String, limit: Int64, keepFree: Int64, scheduler: any Scheduler,
        logger: Logger, queueLimit: Int = 64 << 20, writers: Int = 2, openFiles: Int = 256
    ) throws(BlockStoreError) {
        directory = try CacheDirectory(path: path)
        self.scheduler = scheduler
        registry = Registry(openLimit: openFiles)
        queue = WriteQueue(scheduler: scheduler, writers: writers, limit: queueLimit)
        trouble = Trouble(path: path, scheduler: scheduler, logger: logger)
        batchLimit = Int(min(4 << 20, max(limit / 16, 1)))
        upkeep = try Upkeep(
            directory: directory, registry: registry, trouble: trouble, scheduler: scheduler,
            limit: limit, keepFree: keepFree, logger: logger)
        upkeep.begin()
    }

    public func open(_ identity: ObjectIdentity) -> (any CachedObject)? {
        let object = object(identity, ObjectName(identity))
        object.prepare()
        return object
    }

    /// The one object of that name in this process.
    func object(_ identity: ObjectIdentity, _ name: ObjectName) -> StoredObject {
        registry.object(name) { mayExist in
            StoredObject(store: self, identity: identity, name: name, mayExist: mayExist)
        }
    }

    /// Writes all that waits, and the index; returns when done. May run writers on this thread.
    public func synchronize() {
        queue.drain()
        upkeep.flush()
    }

    /// Writes what waits, gives claimed space back and takes leave of the index. Objects handed
    /// out can still be read; nothing more is stored.
    public func close() {
        queue.close()
        queue.drain()
        upkeep.end()
        registry.closeAll()
    }
}
