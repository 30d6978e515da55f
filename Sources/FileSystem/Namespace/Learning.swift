// Learning attributes from objects' metadata, where the mount reads it.
//
// A file's attributes are asked for when somebody wants them: first the memory of earlier HEADs,
// then a HEAD. A directory's are those of its marker object. Names given by readdir alone cost
// nothing: readdirplus gives unknown ones without attributes, so that `ls` of 100,000 names asks
// for none of them and its first names wait for nothing, and `ls -l` and rsync look each name up.
// They do so in listing order, so a walk is recognised and the next names of the same kind are
// asked for together, 64 at a time: n unknown files cost n/64 round trips, a single one one HEAD.

import Operations
import S3

/// A question about one record's attributes under way.
struct Learning {
    var directory: InodeNumber
    var name: [UInt8]
    var waiters: [NameWaiter] = []
    /// The record changed meanwhile: the answer is of something else.
    var isOutdated = false
}

/// How far a walk over names has been asked for.
struct LearningWalk {
    /// The listing walked, and the records last asked for.
    var listing: UInt32 = 0
    var from = 0
    var to = 0
    var window = 0
}

/// What is asked.
struct LearningQuestion: Sendable {
    var number: InodeNumber
    var key: ObjectKey
    /// Nil: only a HEAD can tell.
    var etag: ETag?
}

/// What is answered.
enum LearningAnswer: Sendable {
    case remembered(ObjectAttributes)
    case asked(Result<ObjectHead, StoreError>)
}

extension NamespaceState {
    private static let windowLimit = 64
    private static let searchLimit = 4096
    /// Names a walk may skip (pruned, or known already).
    private static let skipLimit = 16

    /// Whether a record's attributes must be asked for before they are shown.
    func isUnknown(_ place: Place) -> Bool {
        configuration.readsMetadata && !place.entry.flags.contains(.known)
    }

    /// A symbolic link is an object whose body is a path: of no more than PATH_MAX.
    func mayBeLink(_ entry: Entry) -> Bool { !entry.isDirectory && (1...4096).contains(entry.size) }

    /// Asks for a record's attributes; the waiter is answered then.
    mutating func learn(_ place: Place, for waiter: NameWaiter) {
        let number = place.entry.number
        if learning[number] == nil { ask(about: batch(from: place), in: place.directory) }
        learning[number]?.waiters.append(waiter)
    }

    /// Starts questions about records of a directory.
    private mutating func ask(about places: [Place], in directory: Directory) {
        var questions: [LearningQuestion] = []
        for place in places {
            let name = Array(place.listing.name(place.position))
            let entry = place.entry
            let number = entry.number
            learning[number] = Learning(directory: directory.number, name: name)
            directory.learning += 1
            let isMarkerless = entry.isDirectory && KeyEscape.form(of: name) == .more
            let etag: ETag? =
                entry.isDirectory && entry.modified == Entry.unknownTime
                ? nil : entry.etag.etag(texts: place.listing.texts)
            let key = storedAt[number] ?? key(of: place)
            if isMarkerless || key.bytes.count > Self.keyLimit {
                deferred.append { namespace in
                    namespace.locked { $0.learned([number: .remembered(ObjectAttributes())]) }
                }
            } else {
                questions.append(LearningQuestion(number: number, key: key, etag: etag))
            }
        }
        account(directory)
        let asked = questions
        if !asked.isEmpty { deferred.append { $0.ask(asked) } }
    }

    /// The record and, when a walk goes on, those behind it.
    private mutating func batch(from place: Place) -> [Place] {
        let directory = place.directory
        let listing = place.listing
        guard listing === directory.listing, !place.entry.flags.contains(.single) else {
            return [place]
        }
        var walk = place.entry.isDirectory ? directory.directoryWalk : directory.fileWalk
        if walk.listing == listing.id, walk.from <= place.position,
            place.position <= walk.to + Self.skipLimit
        {
            walk.window = min(Self.windowLimit, walk.window * 8)
        } else {
            walk.window = isFirst(place) ? Self.windowLimit : 1
        }
        let found =
            [place] + unknown(behind: place.position, like: place, limit: walk.window - 1)
        walk.listing = listing.id
        walk.from = place.position
        walk.to = found.last?.position ?? place.position
        keep(walk, of: place)
        return found
    }

    /// A known record is looked up: a walk that has come half way asks for what is next.
    mutating func walkOn(_ place: Place) {
        guard configuration.readsMetadata, place.listing === place.directory.listing else { return }
        var walk =
            place.entry.isDirectory ? place.directory.directoryWalk : place.directory.fileWalk
        guard walk.window == Self.windowLimit, walk.listing == place.listing.id,
            walk.from <= place.position, place.position <= walk.to,
            walk.from + walk.to <= place.position * 2
        else { return }
        let found = unknown(behind: walk.to, like: place, limit: walk.window)
        guard let last = found.last else { return }
        walk.from = walk.to
        walk.to = last.position
        keep(walk, of: place)
        ask(about: found, in: place.directory)
    }

    private func keep(_ walk: LearningWalk, of place: Place) {
        if place.entry.isDirectory {
            place.directory.directoryWalk = walk
        } else {
            place.directory.fileWalk = walk
        }
    }

    /// Records of the same kind whose attributes nobody has asked for.
    private func unknown(behind position: Int, like place: Place, limit: Int) -> [Place] {
        let listing = place.listing
        let isDirectory = place.entry.isDirectory
        var found: [Place] = []
        var position = position + 1
        let end = min(listing.count, position + Self.searchLimit)
        while position < end, found.count < limit {
            let entry = listing.entries[position]
            if entry.isDirectory == isDirectory,
                entry.flags.isDisjoint(with: [.known, .gone, .single, .moved, .suspect]),
                learning[entry.number] == nil
            {
                found.append(
                    Place(directory: place.directory, listing: listing, position: position))
            }
            position += 1
        }
        return found
    }

    /// Whether a directory that was read is now asked about from its beginning on.
    private func isFirst(_ place: Place) -> Bool {
        guard place.directory.served == place.listing.id, place.position < Self.searchLimit else {
            return false
        }
        for position in 0..<place.position {
            let entry = place.listing.entries[position]
            if entry.isDirectory == place.entry.isDirectory,
                entry.flags.isDisjoint(with: [.known, .gone, .single, .moved])
            {
                return false
            }
        }
        return true
    }

    /// Takes answers.
    mutating func learned(_ answers: [InodeNumber: LearningAnswer]) {
        for (number, answer) in answers.sorted(by: { $0.key < $1.key }) { learned(number, answer) }
    }

    private mutating func learned(_ number: InodeNumber, _ answer: LearningAnswer) {
        guard let learn = learning.removeValue(forKey: number) else { return }
        guard let directory = directories[learn.directory] else {
            for waiter in learn.waiters { answerAbsent(waiter, timeout: .zero) }
            return
        }
        directory.learning -= 1
        defer { account(directory) }
        guard !learn.isOutdated, let place = place(of: learn.name, in: directory),
            place.entry.number == number
        else {
            for waiter in learn.waiters { reconsider(waiter, in: directory) }
            return
        }
        switch answer {
        case .remembered(let attributes): take(attributes, place)
        case .asked(.success(let head)): learned(head, place)
        case .asked(.failure(let error)) where error.kind == .notFound:
            if place.entry.isDirectory || place.entry.flags.contains(.local) {
                take(ObjectAttributes(), place)
            } else {
                vanished(place)
            }
        case .asked(.failure(let error)) where error.kind == .accessDenied:
            // It may be seen, but not read: shown as any other.
            place.listing.entries[place.position].flags.insert(.known)
        case .asked(.failure(let error)):
            fail(
                learn.waiters, with: error,
                path: path(of: directory.number, name: learn.name))
            return
        }
        for waiter in learn.waiters { self.answer(waiter, with: place, absentFor: fullTimeout) }
    }

    private mutating func learned(_ head: ObjectHead, _ place: Place) {
        let attributes = ObjectAttributes(metadata: head.metadata)
        let question = AttributeQuestion(key: head.key, etag: head.etag)
        deferred.append { $0.memorized.note([question: attributes]) }
        if !place.entry.flags.contains(.local) {
            let finding: Finding =
                place.entry.isDirectory
                ? .directory(.object(etag: head.etag, modified: head.modified)) : Finding(head)
            update(place, finding)
        }
        if !place.entry.isDirectory { heads.insert(head, for: place.entry.number) }
        take(attributes, place)
    }
}

extension Namespace {
    /// Asks the memory, then the store.
    fileprivate func ask(_ questions: [LearningQuestion]) {
        let remembered = questions.compactMap { question in
            question.etag.map { AttributeQuestion(key: question.key, etag: $0) }
        }
        guard !remembered.isEmpty else { return askStore(questions) }
        memorized.find(remembered) { [self] known in
            var answers: [InodeNumber: LearningAnswer] = [:]
            var missing: [LearningQuestion] = []
            for question in questions {
                let attributes = question.etag.flatMap {
                    known[AttributeQuestion(key: question.key, etag: $0)]
                }
                if let attributes {
                    answers[question.number] = .remembered(attributes)
                } else {
                    missing.append(question)
                }
            }
            if !answers.isEmpty {
                let found = answers
                locked { $0.learned(found) }
            }
            askStore(missing)
        }
    }

    private func askStore(_ questions: [LearningQuestion]) {
        for question in questions {
            store.head(question.key) { [self] result in
                locked { $0.learned([question.number: .asked(result)]) }
            }
        }
    }
}
