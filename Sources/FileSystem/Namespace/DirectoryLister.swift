// Fetching a directory's names, page by page.
//
// As soon as a page's answer says where the next one begins, that one is asked for, before the page is
// looked at: the server works on it meanwhile. If the page in the end says otherwise (its answer broke
// off and came anew), what was asked for does not count. Names go to the readers that wait and to lookups as each page is taken, so
// the first names do not wait for the last. A listing that nobody reads is given up after ten
// pages.

import Operations
import S3

extension NamespaceState {
    /// Why a directory is listed.
    enum ListingReason { case reader, waiters, storm, ahead }

    /// Starts a new listing. Not while one is under way.
    mutating func startListing(of directory: Directory, for reason: ListingReason) {
        let id = nextRequest
        nextRequest += 1
        if directory.listing.count > 0 { directory.previous = directory.listing }
        directory.listing = Listing(id: nextListing)
        nextListing &+= 1
        var lister = Lister(
            id: id, builder: ListingBuilder(prefix: directory.prefix, spelt: directory.spelt))
        if reason == .ahead {
            lister.isAhead = true
            aheadInFlight += 1
        }
        directory.lister = lister
        account(directory)
        let number = directory.number
        let prefix = directory.prefix
        deferred.append { $0.requestPage(of: number, lister: id, page: 0, prefix, token: nil) }
    }

    /// Answers waiting to be taken, at most, before no more pages are asked for.
    private static let pagesAhead = 4

    /// Whether to ask for the page behind `page`, which begins at `next`, though `page` is not here
    /// yet. After a no it is decided when `page` is taken.
    fileprivate mutating func wantsMore(
        _ number: InodeNumber, lister id: UInt64, behind page: Int, token: String?, next: String
    ) -> Bool {
        guard let directory = directories[number], let lister = directory.lister, lister.id == id,
            (lister.page..<lister.page + Self.pagesAhead).contains(page),
            lister.asked[page] == token, lister.asked[page + 1] == nil
        else { return false }
        return asks(for: next, behind: page, in: directory)
    }

    /// Notes that the page behind `page` is asked for, unless nobody needs it.
    private mutating func asks(for token: String, behind page: Int, in directory: Directory) -> Bool
    {
        guard page + 1 < Self.backgroundPages || isWaitedFor(directory) else { return false }
        directory.lister?.asked[page + 1] = token
        return true
    }

    private func isWaitedFor(_ directory: Directory) -> Bool {
        directory.handles > 0 || !directory.waiters.isEmpty || !directory.readers.isEmpty
    }

    /// Takes a page's answer, in the order of pages.
    fileprivate mutating func arrived(
        _ number: InodeNumber, lister id: UInt64, page: Int, token: String?,
        _ result: Result<ListPage, StoreError>
    ) {
        guard let directory = directories[number], let lister = directory.lister, lister.id == id,
            page >= lister.page, lister.asked[page] == token
        else { return }
        directory.lister?.early[page] = result
        while let lister = directory.lister, lister.id == id,
            let result = directory.lister?.early.removeValue(forKey: lister.page)
        {
            directory.lister?.page += 1
            directory.lister?.asked[lister.page] = nil
            switch result {
            case .success(let answer): take(answer, page: lister.page, in: directory)
            case .failure(let error): giveUp(directory, error)
            }
        }
    }

    private mutating func take(_ page: ListPage, page number: Int, in directory: Directory) {
        let names = directory.lister?.builder.add(page) ?? []
        directory.listing.pages += 1
        for name in names {
            listed(
                name.name, name.object.map { Finding($0) } ?? .directory(.unknown),
                in: directory)
        }
        if let token = page.nextToken {
            guard goesOn(directory, with: token, behind: number) else {
                giveUp(directory, nil)
                return
            }
        } else {
            complete(directory)
        }
        wakeReaders(of: directory)
        wakeWaiters(of: directory)
    }

    /// Sees to it that the page behind a page just taken comes. False when nobody needs it.
    private mutating func goesOn(
        _ directory: Directory, with token: String, behind page: Int
    ) -> Bool {
        guard let id = directory.lister?.id, directory.lister?.asked[page + 1] != token else {
            return true
        }
        directory.lister?.asked = [:]
        directory.lister?.early = [:]
        guard asks(for: token, behind: page, in: directory) else { return false }
        let number = directory.number
        let prefix = directory.prefix
        deferred.append {
            $0.requestPage(of: number, lister: id, page: page + 1, prefix, token: token)
        }
        return true
    }

    private mutating func complete(_ directory: Directory) {
        let lister = directory.lister
        finish(directory)
        directory.listing.isComplete = true
        retirePrevious(of: directory, complete: true)
        directory.listing.trim()
        directory.quietFor = .zero
        directory.marker = lister?.builder.marker?.modified ?? Entry.unknownTime
        if let lister { learnedOwn(directory, lister) }
        dropSettled(directory)
        account(directory)
        if lister?.isAhead == true { readyAhead(directory) }
    }

    /// What a complete listing tells of the directory itself.
    private mutating func learnedOwn(_ directory: Directory, _ lister: Lister) {
        guard let own = place(of: directory.number), !own.entry.flags.contains(.local) else {
            return
        }
        if directory.spelt == 0, lister.id >= directory.changedAt {
            var entry = own.entry
            fill(&entry, Finding.Marker(lister.builder.marker), in: own.listing)
            own.listing.entries[own.position] = entry
        }
        if lister.builder.sawAny {
            shown(directory, request: lister.id)
        } else if !isWanted(own) {
            // Nothing has this prefix any more: the directory itself is in doubt.
            own.listing.entries[own.position].flags.insert(.suspect)
            tellChanged(
                directory.number, in: own.directory, name: own.listing.name(own.position))
        }
    }

    /// Begins the listing under way anew, as the directory's prefix has changed; names it has got
    /// already stay where they are.
    mutating func restartListing(of directory: Directory) {
        let id = nextRequest
        nextRequest += 1
        let number = directory.number
        let prefix = directory.prefix
        var lister = Lister(id: id, builder: ListingBuilder(prefix: prefix, spelt: directory.spelt))
        lister.isAhead = directory.lister?.isAhead ?? false
        directory.lister = lister
        deferred.append { $0.requestPage(of: number, lister: id, page: 0, prefix, token: nil) }
    }

    /// Ends a listing before its last page: for an error, or because nobody needs it (nil).
    private mutating func giveUp(_ directory: Directory, _ error: StoreError?) {
        let wasAhead = directory.lister?.isAhead ?? false
        finish(directory)
        directory.listing.failure = error
        retirePrevious(of: directory, complete: false)
        if let ttl = configuration.timeToLive {
            directory.quietFor = directory.quietFor == .zero ? ttl : directory.quietFor * 2
        } else {
            directory.quietFor = Self.forever
        }
        directory.quietUntil = now + directory.quietFor
        let waiters = directory.waiters
        directory.waiters = []
        if let error {
            let path = path(of: directory.number)
            if waiters.isEmpty, !wasAhead {
                deferred.append { $0.report(error, operation: "readdir", path: path) }
            }
            fail(waiters, with: error, path: path)
        } else {
            for waiter in waiters { fly(waiter, in: directory) }
        }
        dropSettled(directory)
        wakeReaders(of: directory)
        account(directory)
    }

    private mutating func finish(_ directory: Directory) {
        if directory.lister?.isAhead == true { aheadInFlight -= 1 }
        directory.lister = nil
        directory.listing.finishedAt = now
    }

    /// Answers the lookups that the pages so far can answer; the others ask on their own when the
    /// directory turns out to be longer than a page.
    private mutating func wakeWaiters(of directory: Directory) {
        let waiters = directory.waiters
        directory.waiters = []
        for waiter in waiters {
            switch localTruth(waiter.name, in: directory) {
            case .present(let place):
                answer(waiter, with: place, absentFor: .zero)
                continue
            case .absent:
                answerAbsent(waiter, timeout: fullTimeout)
                continue
            case nil: break
            }
            let position = directory.listing.find(waiter.name)
            let flags = position.map { directory.listing.entries[$0].flags }
            if let position, flags?.isDisjoint(with: [.single, .gone]) == true {
                let place = Place(
                    directory: directory, listing: directory.listing, position: position)
                answer(waiter, with: place, absentFor: .zero)
            } else if directory.listing.isComplete {
                let place = place(of: waiter.name, in: directory)
                answer(waiter, with: place, absentFor: fullTimeout)
            } else if KeyEscape.form(of: waiter.name) == .more {
                directory.waiters.append(waiter)
            } else {
                fly(waiter, in: directory)
            }
        }
    }
}

extension Namespace {
    /// Asks for one page of a directory.
    fileprivate func requestPage(
        of number: InodeNumber, lister: UInt64, page: Int, _ prefix: [UInt8], token: String?
    ) {
        let request = ListRequest(prefix: prefix, continuationToken: token)
        store.list(
            request,
            onNext: { [self] next in
                let isWanted = locked {
                    $0.wantsMore(number, lister: lister, behind: page, token: token, next: next)
                }
                if isWanted {
                    requestPage(of: number, lister: lister, page: page + 1, prefix, token: next)
                }
            },
            completion: { [self] result in
                locked { $0.arrived(number, lister: lister, page: page, token: token, result) }
            })
    }
}
