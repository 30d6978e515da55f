// Publishing a large file: the parts that the bucket does not have yet, then CompleteMultipartUpload.
//
// A part that is the same as in the published version is copied by the server, the others are sent;
// of those only what is missing here is read. Runs inside the file's gate, with everything frozen.
//
// Locks: `state`, a leaf.

import Operations
import S3
import Synchronization

extension WritableFile {
    /// Publishes by a multipart upload: the one that is under way, or a new one. Inside the gate.
    func publishStream(then: @escaping @Sendable (WriteFailure?) -> Void) {
        locked { $0.frozen.append(FileState.everything) }
        closeStream { [self] in
            MultipartPublication(self).start { [self] failure in
                thaw(FileState.everything)
                conclude(failure, then)
            }
        }
    }
}

/// One publication by parts.
final class MultipartPublication: Sendable {
    /// What is done for one part.
    private enum Job: Sendable {
        case send(number: Int, Range<Int64>)
        case copy(number: Int, Range<Int64>)

        func numbered(_ number: Int) -> Job {
            switch self {
            case .send(_, let range): .send(number: number, range)
            case .copy(_, let range): .copy(number: number, range)
            }
        }
    }

    private struct State {
        var upload: MultipartUpload?
        var headers = ObjectHeaders()
        var journalID: Int64?
        var layout: PartLayout
        /// The upload was begun while the file was written; it is kept when the publish fails.
        var isStream = false
        /// Begun again without copies, as the server cannot make them.
        var isRepeated = false
        var parts: [Int: UploadedPart] = [:]
        var jobs: [Job] = []
        var running = 0
        var failure: WriteFailure?
    }

    private let file: WritableFile
    private let snapshot: SendableBox<PublishSnapshot?> = SendableBox(nil)
    private let state: Mutex<State>
    private let then = SendableBox<(@Sendable (WriteFailure?) -> Void)?>(nil)
    private var context: WritingContext { file.context }

    /// Bytes that one UploadPartCopy takes at most: several run beside each other.
    private static let copyRun: Int64 = 256 << 20

    init(_ file: WritableFile) {
        self.file = file
        state = Mutex(State(layout: file.context.configuration.layout))
    }

    func start(then: @escaping @Sendable (WriteFailure?) -> Void) {
        self.then.value = then
        let stream = file.locked { $0.upload }
        if let stream, let upload = stream.upload {
            state.withLock { state in
                state.upload = upload
                state.headers = stream.headers ?? ObjectHeaders()
                state.journalID = stream.journalID
                state.layout = stream.layout
                state.isStream = true
                state.parts = stream.done
            }
            var snapshot = file.locked { PublishSnapshot($0, headers: stream.headers ?? .init()) }
            snapshot.attributeChange = stream.attributeChange
            self.snapshot.value = snapshot
            return plan()
        }
        file.headers { [self] result in
            switch result {
            case .failure(let failure): finish(failure)
            case .success(let headers): create(headers)
            }
        }
    }

    private func create(_ headers: ObjectHeaders) {
        let snapshot = file.locked { PublishSnapshot($0, headers: headers) }
        self.snapshot.value = snapshot
        context.store.createUpload(snapshot.key, headers: headers) { [self] result in
            switch result {
            case .failure(let error): finish(WriteFailure(error))
            case .success(let upload):
                let journalID = context.records.began(upload)
                state.withLock { state in
                    state.upload = upload
                    state.headers = headers
                    state.journalID = journalID
                }
                plan()
            }
        }
    }

    // MARK: Jobs

    private func plan() {
        let configuration = context.configuration
        let serverCopies = context.store.capabilities.partCopy != false
        let (extents, base) = file.locked { ($0.extents, $0.base) }
        state.withLock { state in
            let keeps = base != nil && extents.contains([.base, .clean])
            let canCopy = serverCopies && !state.isRepeated
            if keeps, !state.isStream {
                state.layout = .forEdit(size: extents.size, smallest: configuration.smallestPart)
            }
            var jobs: [Job] = []
            for number in state.layout.numbers(size: extents.size)
            where state.parts[number] == nil {
                let range = state.layout.range(of: number).clamped(to: 0..<extents.size)
                let isSame =
                    keeps && canCopy && range.upperBound <= base?.size ?? 0
                    && extents.consists(range, of: [.base, .clean])
                if isSame, case .copy(let first, let run)? = jobs.last,
                    run.upperBound == range.lowerBound, run.count + range.count <= Self.copyRun
                {
                    jobs[jobs.count - 1] = .copy(
                        number: first, run.lowerBound..<range.upperBound)
                } else {
                    jobs.append(
                        isSame ? .copy(number: number, range) : .send(number: number, range))
                }
            }
            // S3 wants the numbers without gaps where parts have checksums.
            if keeps, !state.isStream {
                jobs = jobs.enumerated().map { $1.numbered($0 + 1) }
            }
            state.jobs = jobs.reversed()
            // One for this function: nobody else finishes before all are started.
            state.running = 1
        }
        for _ in 0..<configuration.parallelUploads { next() }
        ended()
    }

    /// Takes the next job, when there is one.
    private func next() {
        let isMore = state.withLock { state in
            guard state.failure == nil, !state.jobs.isEmpty else { return false }
            state.running += 1
            return true
        }
        guard isMore else { return }
        context.slots.enter { [self] in
            let job = state.withLock { state in
                state.failure == nil ? state.jobs.popLast() : nil
            }
            guard let job else {
                context.slots.leave()
                return ended()
            }
            run(job)
        }
    }

    private func run(_ job: Job) {
        let upload = state.withLock { $0.upload! }
        switch job {
        case .send(let number, let range):
            file.materialise(range) { [self] failure in
                if let failure { return over(failure) }
                context.store.uploadPart(upload, number: number, body: file.body(range)) {
                    [self] result in
                    if case .success = result { file.giveBack(range) }
                    over(number, result)
                }
            }
        case .copy(let number, let range):
            let base = file.locked { $0.base! }
            context.store.copyPart(
                upload, number: number, source: CopySource(key: base.key, etag: base.etag),
                range: range
            ) { [self] result in over(number, result) }
        }
    }

    private func over(_ number: Int, _ result: Result<UploadedPart, StoreError>) {
        switch result {
        case .success(let part):
            state.withLock { $0.parts[number] = part }
            over(nil)
        case .failure(let error): over(WriteFailure(error))
        }
    }

    /// A job is over; its slot is free for the next.
    private func over(_ failure: WriteFailure?) {
        context.slots.leave()
        if let failure {
            state.withLock { $0.failure = $0.failure ?? failure }
        } else {
            next()
        }
        ended()
    }

    private func ended() {
        let failure: WriteFailure?? = state.withLock { state in
            state.running -= 1
            return state.running == 0 ? .some(state.failure) : nil
        }
        guard let failure else { return }
        if let failure { finish(failure) } else { complete() }
    }

    // MARK: Completion

    private func complete() {
        let (upload, parts) = state.withLock { state in
            (state.upload!, state.parts.values.sorted { $0.number < $1.number })
        }
        let condition = file.locked { $0.condition }
        let capabilities = context.store.capabilities
        let isHonoured = (capabilities.conditionalComplete ?? capabilities.conditionalPut) != false
        context.checked(condition, upload.key, isHonoured: isHonoured) { [self] refusal in
            if let refusal { return finish(refusal) }
            context.store.completeUpload(upload, parts: parts, condition: condition) {
                [self] result in
                switch result {
                case .success(let written): succeed(written)
                case .failure(let error):
                    finish(WriteFailure(error, wantsAbsent: condition == .absent))
                }
            }
        }
    }

    private func succeed(_ written: WrittenObject) {
        let journalID = state.withLock { $0.journalID }
        let snapshot = snapshot.value!
        file.locked { state in
            // The times were fixed with the upload: what is shown is what is kept.
            if let stream = state.upload, state.attributeChange == stream.attributeChange {
                state.record.modified = stream.modified
            }
            state.upload = nil
        }
        file.published(written, snapshot)
        if let journalID { context.records.ended(journalID) }
        end(nil)
    }

    /// Ends without success. An upload whose parts exist nowhere else is kept for another try.
    private func finish(_ failure: WriteFailure) {
        let (upload, journalID, isStream, parts) = state.withLock {
            ($0.upload, $0.journalID, $0.isStream, $0.parts)
        }
        guard let upload else { return end(failure) }
        let isKept = file.locked { state in
            guard isStream, failure.cause?.kind != .noSuchUpload else {
                // Bytes that were only there are `.sent` without an upload from now on: the file says
                // that they are lost, and is never published without them.
                if isStream { state.upload = nil }
                return false
            }
            for (number, part) in parts { state.upload?.parts[number] = .done(part) }
            return true
        }
        if !isKept { file.abandon(upload, journalID: journalID) }
        if failure.cause?.kind == .notImplemented, repeatWithoutCopies() { return }
        end(failure)
    }

    /// The server cannot copy parts: everything is sent, in a new upload. Once.
    private func repeatWithoutCopies() -> Bool {
        let headers: ObjectHeaders? = state.withLock { state in
            guard !state.isRepeated, !state.isStream else { return nil }
            state.isRepeated = true
            state.upload = nil
            state.parts = [:]
            state.jobs = []
            state.failure = nil
            return state.headers
        }
        if let headers { create(headers) }
        return headers != nil
    }

    private func end(_ failure: WriteFailure?) {
        let then = then.update { then in
            defer { then = nil }
            return then
        }
        then?(failure)
    }
}

extension WritableFile {
    /// The body of a part, all of it staged or holes.
    fileprivate func body(_ range: Range<Int64>) -> any UploadBody {
        let staged = locked { $0.staged }
        return staged.map { StagedBody($0, range) } ?? ZeroBody(size: Int64(range.count))
    }

    /// Lets bytes go that were only brought for a part.
    fileprivate func giveBack(_ range: Range<Int64>) {
        locked { state in
            for extent in state.extents.extents(in: range) where extent.source == .clean {
                unstage(extent.range, as: .base, &state)
            }
        }
    }
}
