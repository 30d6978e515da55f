// The state of a directory somebody has looked into, of its open handles, and of its requests.
//
// Not Sendable; lives under the namespace's lock.

import Operations
import S3

/// A directory with state.
final class Directory {
    let number: InodeNumber
    var parent: InodeNumber
    /// What all its keys begin with; ends in `/`, but for a `@pail-more` directory (and the root of
    /// a whole bucket, where it is empty).
    var prefix: [UInt8]
    /// Bytes of a long component that `@pail-more` names have spelt; 0 in ordinary directories.
    var spelt: Int

    /// The newest knowledge. While `lister` runs it grows, and `previous` has what was before.
    var listing: Listing
    var previous: Listing?
    var lister: Lister?

    /// Requests for single names under way, by name.
    var flights: [[UInt8]: LookupFlight] = [:]
    /// Lookups that wait for the listing under way.
    var waiters: [NameWaiter] = []
    /// Reads that wait for the listing under way.
    var readers: [ParkedRead] = []

    /// Open handles.
    var handles = 0
    /// For the LRU.
    var lastUsed: UInt64 = 0
    /// Names asked for one by one lately, and since when.
    var misses = 0
    var missesSince: Duration = .zero
    /// No listing in the background before this time (the last one was given up as too long).
    var quietUntil: Duration = .zero
    var quietFor: Duration = .zero
    /// Bytes of a listing made ahead that nobody has read yet.
    var aheadBytes = 0
    /// LastModified of its own marker, as its last listing saw it.
    var marker = Entry.unknownTime
    /// The listing whose names the kernel was given.
    var served: UInt32 = 0

    /// Changes in force, by name.
    var changes: [[UInt8]: LocalChange] = [:]
    /// Something was removed here: it goes on existing, though it may have been the last.
    var isKept = false
    /// Directories in it that are wanted.
    var wantedChildren = 0
    /// It goes on existing whatever the bucket shows, for what is in it or was.
    var isWanted = false
    /// Requests from this number on were made after the last change.
    var changedAt: UInt64 = 0
    /// When names last changed here, in nanoseconds since 1970.
    var localModified: Int64?
    /// Questions about attributes of names under way, and how far walks have asked.
    var learning = 0
    var fileWalk = LearningWalk()
    var directoryWalk = LearningWalk()

    init(
        number: InodeNumber, parent: InodeNumber, prefix: [UInt8], spelt: Int, listing: Listing
    ) {
        self.number = number
        self.parent = parent
        self.prefix = prefix
        self.spelt = spelt
        self.listing = listing
    }

    /// Something is under way or open: the state must stay.
    var isBusy: Bool {
        handles > 0 || lister != nil || !flights.isEmpty || !waiters.isEmpty || learning > 0
            || isKept || !changes.isEmpty
    }

    /// Bytes of memory held.
    var bytes: Int { 512 + prefix.count + listing.bytes + (previous?.bytes ?? 0) }

    /// The component of a child, with what `@pail-more` names have spelt of it.
    func component(_ payload: [UInt8]) -> ArraySlice<UInt8> {
        (prefix.suffix(spelt) + payload)[...]
    }
}

/// A listing under way.
struct Lister {
    /// Distinguishes it from earlier ones, whose late answers are ignored.
    var id: UInt64
    /// The page whose answer is next; answers that overtook it wait in `early`.
    var page = 0
    var early: [Int: Result<ListPage, StoreError>] = [:]
    /// The tokens of the pages asked for and not taken yet, but for the first page.
    var asked: [Int: String] = [:]
    /// Counts in the walk-ahead's requests in flight.
    var isAhead = false
    var builder: ListingBuilder
}

/// HEAD and LIST of one name, under way for everybody who asks for it.
struct LookupFlight {
    var id: UInt64
    var head: Result<ObjectHead, StoreError>?
    var list: Result<ListPage, StoreError>?
    /// Asked in the end: does exactly this key exist, by a listing.
    var probing = false
    /// The name was changed here meanwhile: the answer does not count.
    var isOutdated = false
    var waiters: [NameWaiter] = []
}

/// Somebody who waits for a name.
struct NameWaiter {
    enum Kind {
        case lookup(Reply<EntryAnswer>)
        case attributes(InodeNumber, Reply<AttributesAnswer>)
        case resolve(pinning: Bool, @Sendable (Result<Occupant, Errno>) -> Void)
    }

    var name: [UInt8]
    var kind: Kind
}

/// A readdir that waits for names.
struct ParkedRead {
    var handle: HandleNumber
    var offset: UInt64
    var reply: any DirectoryReply
}

/// An open directory: the names it walks.
struct DirectoryHandle {
    var directory: InodeNumber
    /// The snapshot; nil until the first read needs one.
    var listing: Listing?
    /// A page was read: offset 0 now means rewinddir.
    var isStarted = false
}
