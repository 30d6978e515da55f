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
        if learning[place.entry.number] != nil {
            learning[place.entry.number]?.waiters.append(waiter)
            return
        }
        var questions: [LearningQuestion] = []
        for found in batch(from: place) {
            let name = Array(found.listing.name(found.position))
            let entry = found.entry
            learning[entry.number] = Learning(directory: place.directory.number, name: name)
            place.directory.learning += 1
            let isMarkerless = entry.isDirectory && KeyEscape.form(of: name) == .more
            let etag: ETag? =
                entry.isDirectory && entry.modified == Entry.unknownTime
                ? nil : entry.etag.etag(texts: found.listing.texts)
            let key = storedAt[entry.number] ?? key(of: found)
            if isMarkerless || key.bytes.count > Self.keyLimit {
                let number = entry.number
                deferred.append { namespace in
                    namespace.locked { $0.learned([number: .remembered(ObjectAttributes())]) }
                }
            } else {
                questions.append(LearningQuestion(number: entry.number, key: key, etag: etag))
            }
        }
        learning[place.entry.number]?.waiters.append(waiter)
        account(place.directory)
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
        let isDirectory = place.entry.isDirectory
        var walk = isDirectory ? directory.directoryWalk : directory.fileWalk
        if walk.listing == listing.id, walk.from <= place.position,
            place.position <= walk.to + Self.skipLimit
        {
            walk.window = min(Self.windowLimit, walk.window * 8)
        } else {
            walk.window = isFirst(place) ? Self.windowLimit : 1
        }
        var found = [place]
        var position = place.position + 1
        let end = min(listing.count, position + Self.searchLimit)
        while position < end, found.count < walk.window {
            let entry = listing.entries[position]
            if entry.isDirectory == isDirectory,
                entry.flags.isDisjoint(with: [.known, .gone, .single, .moved, .suspect]),
                learning[entry.number] == nil
            {
                found.append(Place(directory: directory, listing: listing, position: position))
            }
            position += 1
        }
        walk.listing = listing.id
        walk.from = place.position
        walk.to = found.last?.position ?? place.position
        if isDirectory { directory.directoryWalk = walk } else { directory.fileWalk = walk }
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
