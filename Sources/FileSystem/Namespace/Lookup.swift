// Finding one name.
//
// From memory when the directory's listing is complete and fresh (also that a name is missing).
// Else by the cheapest single round trip:
//   - a directory that fitted one page is listed again: one request confirms all its children;
//   - any other name costs one pair of parallel requests, HEAD of the key and LIST of `key/`. A
//     directory wins, so a LIST with anything in it answers without waiting for the HEAD.
// Everybody who asks for a name at the same time shares one flight.
//
// The fourth name asked for one by one within the TTL makes the directory be listed in the
// background: storms of stat(2) (nginx, PHP, Python imports) become answers from memory. Four,
// because a walk down a path asks for one name per directory and a program for a handful; ten pages
// at most, because 10,000 names cost about as much as the 10 pairs they save at once, and much
// longer directories are seldom read by name alone. A directory that is longer is left alone for
// the TTL, then twice that.

import Operations
import S3

extension NamespaceState {
    private static let missesBeforeListing = 4
    static let backgroundPages = 10

    private enum Memory {
        case present(Place)
        case absent(Duration)
        case unknown
    }

    mutating func lookup(parent: InodeNumber, name: [UInt8], reply: Reply<EntryAnswer>) {
        guard name.count <= KeyEscape.nameLimit else {
            deferred.append { _ in reply.fail(.nameTooLong) }
            return
        }
        guard let directory = directory(parent) else {
            let errno = noDirectory(parent)
            deferred.append { _ in reply.fail(errno) }
            return
        }
        reconsider(NameWaiter(name: name, kind: .lookup(reply)), in: directory)
    }

    /// Answers from memory, else asks.
    mutating func reconsider(_ waiter: NameWaiter, in directory: Directory) {
        if case .attributes(let number, let reply) = waiter.kind {
            getAttributes(number, reply: reply)
            return
        }
        switch memory(of: waiter.name, in: directory) {
        case .present(let place): answer(waiter, with: place, absentFor: .zero)
        case .absent(let timeout): answerAbsent(waiter, timeout: timeout)
        case .unknown: ask(waiter, in: directory)
        }
    }

    private func memory(of name: [UInt8], in directory: Directory) -> Memory {
        if !directory.changes.isEmpty, let change = directory.changes[name], !change.isSettled {
            if change.isPresent, let place = place(of: name, in: directory) {
                return .present(place)
            }
            return .absent(fullTimeout)
        }
        if let place = place(of: name, in: directory) {
            guard let left = remaining(place.listing, place.position) else { return .unknown }
            return place.entry.flags.contains(.gone) ? .absent(left) : .present(place)
        }
        if let left = remaining(directory) { return .absent(left) }
        return .unknown
    }

    /// Asks the server for a name, in the way that fits the directory.
    mutating func ask(_ waiter: NameWaiter, in directory: Directory) {
        let name = waiter.name
        let isPart = KeyEscape.form(of: name) == .more
        let isSuspect =
            place(of: name, in: directory)?.entry.flags.contains(.suspect) ?? false
        let isSmall =
            directory.lister == nil
            ? directory.listing.isComplete && directory.listing.pages <= 1
            : directory.previous.map { $0.isComplete && $0.pages <= 1 } ?? false
        if isPart || (isSmall && !isSuspect && configuration.timeToLive != .zero) {
            directory.waiters.append(waiter)
            if directory.lister == nil { startListing(of: directory, for: .waiters) }
        } else {
            fly(waiter, in: directory)
        }
    }

    /// Joins or starts the requests for one name.
    mutating func fly(_ waiter: NameWaiter, in directory: Directory) {
        let name = waiter.name
        if directory.flights[name] != nil {
            directory.flights[name]?.waiters.append(waiter)
            return
        }
        guard let target = target(of: name, in: directory) else {
            answerAbsent(waiter, timeout: fullTimeout)
            return
        }
        let id = nextRequest
        nextRequest += 1
        var flight = LookupFlight(id: id, waiters: [waiter])
        let number = directory.number
        if let prefix = target.prefix {
            let request = ListRequest(prefix: prefix, maxKeys: 2)
            deferred.append { namespace in
                namespace.store.list(request) { result in
                    namespace.locked { state in
                        state.landed(number, name, id) { $0.list = result }
                    }
                }
            }
        }
        if let key = target.key {
            deferred.append { namespace in
                namespace.store.head(ObjectKey(key)) { result in
                    namespace.locked { state in
                        state.landed(number, name, id) { $0.head = result }
                    }
                }
            }
        } else {
            flight.head = .failure(Self.notAsked)
        }
        directory.flights[name] = flight
        countMiss(in: directory)
    }

    /// The requests that decide a name; nil when no key can have it.
    private func target(
        of name: [UInt8], in directory: Directory
    ) -> (key: [UInt8]?, prefix: [UInt8]?)? {
        let payload = KeyEscape.payload(of: name)
        let isFile = KeyEscape.form(of: name) == .file
        if isFile, payload.isEmpty {
            let isPlain = directory.spelt == 0 && !directory.prefix.isEmpty
            return isPlain ? (directory.prefix, nil) : nil
        }
        let shown = KeyEscape.shown(
            component: directory.component(payload), spelt: directory.spelt, asFile: isFile)
        let key = directory.prefix + payload
        guard shown == .name(name), key.count <= Self.keyLimit else { return nil }
        return (
            payload.isEmpty ? nil : key, key.count < Self.keyLimit ? key + [0x2F] : nil
        )
    }

    private static let notAsked = StoreError(
        kind: .notFound, operation: "HeadObject", message: "not asked")

    /// Takes one answer of a flight; decides when enough is known.
    private mutating func landed(
        _ number: InodeNumber, _ name: [UInt8], _ id: UInt64,
        _ take: (inout LookupFlight) -> Void
    ) {
        guard let directory = directories[number], var flight = directory.flights[name],
            flight.id == id
        else { return }
        take(&flight)
        directory.flights[name] = flight
        guard !flight.probing, let target = target(of: name, in: directory) else { return }
        let isFile = KeyEscape.form(of: name) == .file
        var isPrefix = false
        var listError: StoreError?
        if let prefix = target.prefix {
            guard let list = flight.list else { return }
            switch list {
            case .failure(let error): listError = error
            case .success(let page):
                isPrefix = !(page.objects.isEmpty && page.commonPrefixes.isEmpty)
                if isPrefix, !isFile {
                    let marker = page.objects.first { $0.key.bytes == prefix }
                    settle(directory, name, .directory(Finding.Marker(marker)))
                    return
                }
            }
            if isFile, listError == nil, !isPrefix {
                settle(directory, name, nil)
                return
            }
        }
        guard let head = flight.head else { return }
        switch head {
        case .success(let head):
            // Without the right to list there are no directories to be seen, only objects.
            if let listError, listError.kind != .accessDenied || isFile {
                fail(directory, name, listError)
            } else if target.prefix == nil, isFile, head.size == 0 {
                settle(directory, name, nil)
            } else {
                settle(directory, name, Finding(head), head: head)
            }
        case .failure(let error) where error.kind == .notFound:
            // A refused LIST does not say that there is no directory of the name.
            if let listError {
                fail(directory, name, listError)
            } else {
                settle(directory, name, nil)
            }
        case .failure(let error) where error.kind == .accessDenied && listError == nil:
            // Not to be read, yet it may exist: the listing of exactly this key knows.
            probe(directory, name, id, key: target.key ?? [])
        case .failure(let error): fail(directory, name, error)
        }
    }

    private mutating func probe(
        _ directory: Directory, _ name: [UInt8], _ id: UInt64, key: [UInt8]
    ) {
        directory.flights[name]?.probing = true
        let number = directory.number
        let request = ListRequest(prefix: key, maxKeys: 1)
        deferred.append { namespace in
            namespace.store.list(request) { result in
                namespace.locked { state in
                    guard let directory = state.directories[number],
                        directory.flights[name]?.id == id
                    else { return }
                    switch result {
                    case .failure(let error): state.fail(directory, name, error)
                    case .success(let page):
                        let object = page.objects.first { $0.key.bytes == key }
                        state.settle(directory, name, object.map { Finding($0) })
                    }
                }
            }
        }
    }

    /// Ends a flight with what was found; nil: nothing.
    private mutating func settle(
        _ directory: Directory, _ name: [UInt8], _ finding: Finding?, head: ObjectHead? = nil
    ) {
        guard let flight = directory.flights.removeValue(forKey: name) else { return }
        if isOverruled(flight, name, in: directory) {
            for waiter in flight.waiters { reconsider(waiter, in: directory) }
            account(directory)
            return
        }
        if directory.changes[name] != nil {
            // Asked for after the change: it is newer than the listing under way.
            directory.changes[name] = LocalChange(isPresent: finding != nil, isSettled: true)
        }
        let before = place(of: name, in: directory)
        var found: Place?
        if let before, isWanted(before), finding?.isDirectory != true {
            before.listing.entries[before.position].checked = checkedNow
            before.listing.entries[before.position].flags.remove(.suspect)
            found = before
        } else if let finding {
            let place = confirmed(name, finding, in: directory)
            if let head {
                heads.insert(head, for: place.entry.number)
                take(head, place)
            }
            if let child = directories[place.entry.number] { shown(child, request: flight.id) }
            found = place
        } else if let before {
            vanished(before)
        }
        for waiter in flight.waiters { answer(waiter, with: found, absentFor: fullTimeout) }
        account(directory)
    }

    private mutating func fail(_ directory: Directory, _ name: [UInt8], _ error: StoreError) {
        guard let flight = directory.flights.removeValue(forKey: name) else { return }
        if isOverruled(flight, name, in: directory) {
            for waiter in flight.waiters { reconsider(waiter, in: directory) }
            return
        }
        fail(flight.waiters, with: error, path: path(of: directory.number, name: name))
    }

    /// Whether a flight was asked for before a change of its name.
    private func isOverruled(
        _ flight: LookupFlight, _ name: [UInt8], in directory: Directory
    ) -> Bool {
        flight.isOutdated || directory.changes[name]?.isSettled == false
    }

    private mutating func countMiss(in directory: Directory) {
        guard configuration.timeToLive != .zero else { return }
        if let ttl = configuration.timeToLive, now - directory.missesSince > ttl {
            directory.misses = 0
        }
        if directory.misses == 0 { directory.missesSince = now }
        directory.misses += 1
        if directory.misses >= Self.missesBeforeListing, directory.lister == nil,
            now >= directory.quietUntil, remaining(directory) == nil
        {
            directory.misses = 0
            startListing(of: directory, for: .storm)
        }
    }
}
