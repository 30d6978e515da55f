// Listing ahead of recursive walks.
//
// `ls -R`, find, du, rsync and cp -r open directories depth first, in listing order, one after the
// other: over a far link that is one round trip per directory. When a directory is opened that such
// a walk would open next, the ones behind it (in depth-first order, as far as memory knows the
// tree) are listed at once: two, then 4, 8, 16, 32, for as long as the guess holds. An opening
// elsewhere begins another walk and asks for nothing; a few walks are followed at the same time.

import Operations
import S3

/// One walk that may be going on.
struct Walk {
    /// The directory opened last.
    var last: InodeNumber
    /// Directories to have listed ahead; 0 until the first guess held.
    var window: Int
    /// Listings it may still cause before it is carried on.
    var budget = 0
    var used: UInt64
}

extension NamespaceState {
    private static let walkLimit = 8
    private static let windowLimit = 32
    private static let aheadLimit = 32
    /// Records looked at to find the next directories: a directory of 100,000 files is not
    /// searched.
    private static let searchLimit = 4096

    /// A directory is being read: does it carry a walk on?
    mutating func noteWalk(_ directory: Directory) {
        let number = directory.number
        used(directory)
        if let index = walks.firstIndex(where: { $0.last == number }) {
            walks[index].used = tick
            return
        }
        for index in walks.indices where isNext(number, after: walks[index].last) {
            walks[index].last = number
            walks[index].window = min(Self.windowLimit, max(2, walks[index].window * 2))
            walks[index].used = tick
            walks[index].budget = 2 * walks[index].window
            extend(index)
            return
        }
        if walks.count >= Self.walkLimit,
            let oldest = walks.indices.min(by: { walks[$0].used < walks[$1].used })
        {
            walks.remove(at: oldest)
        }
        walks.append(Walk(last: number, window: 0, used: tick))
    }

    /// Listings ahead came in: their sub-directories may be next.
    private mutating func extendWalks() {
        for index in walks.indices where walks[index].budget > 0 { extend(index) }
    }

    /// Near misses count too: sorting by locale, or a directory pruned from the walk.
    private func isNext(_ number: InodeNumber, after last: InodeNumber) -> Bool {
        following(last, limit: 3, descending: true).contains { $0.entry.number == number }
            || following(last, limit: 2, descending: false).contains { $0.entry.number == number }
    }

    private mutating func extend(_ index: Int) {
        // Without a time to live nothing that is fetched ahead may be believed later.
        guard configuration.timeToLive != .zero else { return }
        let walk = walks[index]
        for place in following(walk.last, limit: walk.window, descending: true) {
            guard walks[index].budget > 0 else { return }
            guard aheadInFlight < Self.aheadLimit else { return }
            // Guesses may fill half of the room, or they would push each other out.
            guard aheadBytes < configuration.memoryLimit / 2 else { return }
            let directory = directories[place.entry.number] ?? makeDirectory(at: place)
            guard directory.lister == nil, directory.aheadBytes == 0, remaining(directory) == nil,
                directory.listing.failure == nil, now >= directory.quietUntil
            else { continue }
            tick += 1
            directory.lastUsed = tick
            walks[index].budget -= 1
            startListing(of: directory, for: .ahead)
        }
    }

    /// A listing made ahead is there and waits for its reader.
    mutating func readyAhead(_ directory: Directory) {
        used(directory)
        // Too large for the room that is left: it was dropped as soon as it was there.
        guard directories[directory.number] === directory else { return endWalksAhead() }
        directory.aheadBytes = directory.bytes
        aheadBytes += directory.aheadBytes
        extendWalks()
    }

    /// A listing made ahead has found its reader, or is dropped.
    mutating func used(_ directory: Directory) {
        aheadBytes -= directory.aheadBytes
        directory.aheadBytes = 0
    }

    /// Guesses push each other out: no more of them until a walk's next step. (Listed again as soon as
    /// they are dropped, they would be listed and dropped for ever.)
    mutating func endWalksAhead() {
        for index in walks.indices { walks[index].window = 0 }
    }

    /// The directories behind one in depth-first order, as far as listings in memory know.
    private func following(
        _ number: InodeNumber, limit: Int, descending: Bool
    ) -> [Place] {
        var search = Search(limit: limit, steps: Self.searchLimit)
        if descending, let directory = directories[number] {
            descend(directory, from: 0, &search, isDeep: true)
        }
        var number = number
        while !search.isDone, let place = place(of: number) {
            if place.listing === place.directory.listing {
                descend(place.directory, from: place.position + 1, &search, isDeep: descending)
            }
            number = place.directory.number
        }
        return search.found
    }

    private struct Search {
        var limit: Int
        var steps: Int
        var depth = 0
        var found: [Place] = []
        var isDone: Bool { found.count >= limit || steps <= 0 || depth > 64 }
    }

    private func descend(
        _ directory: Directory, from start: Int, _ search: inout Search, isDeep: Bool
    ) {
        let listing = directory.listing
        search.depth += 1
        defer { search.depth -= 1 }
        for position in stride(from: start, to: listing.count, by: 1) {
            if search.isDone { return }
            search.steps -= 1
            let entry = listing.entries[position]
            guard entry.isDirectory, entry.flags.isDisjoint(with: [.single, .gone, .moved]) else {
                continue
            }
            search.found.append(
                Place(directory: directory, listing: listing, position: position))
            if isDeep, let child = directories[entry.number] {
                descend(child, from: 0, &search, isDeep: true)
            }
        }
    }
}
