// Sending the parts of a large file while it is still being written.
//
// Only a file that keeps nothing of an older version is sent this way; parts are sent once they are
// whole and the writer has gone on. A confirmed part may leave the staging area when room is short.

import BlockStore
import Logging
import Operations
import S3
import Scheduling

extension WritableFile {
    /// Sends what is ready to be sent. Called after each write.
    func stream() {
        enum Next {
            case none, create
            case parts([Int])
        }
        let configuration = context.configuration
        let next: Next = locked { state in
            guard !state.isRemoved, state.failure == nil, (state.base?.size ?? 0) == 0,
                state.size > configuration.putLimit
            else { return .none }
            guard let upload = state.upload else {
                let first = configuration.layout.range(of: 1)
                guard state.extents.consists(first, of: [.dirty]) else { return .none }
                state.upload = StreamedUpload(
                    layout: configuration.layout, attributeChange: state.attributeChange,
                    modified: state.record.modified)
                return .create
            }
            guard upload.upload != nil, !upload.isClosing, upload.failure == nil else {
                return .none
            }
            return .parts(queueReady(&state))
        }
        switch next {
        case .none: break
        case .create: createStream()
        case .parts(let numbers): for number in numbers { send(number) }
        }
    }

    /// Marks the parts that can be sent. Under the lock.
    private func queueReady(_ state: inout FileState) -> [Int] {
        guard let upload = state.upload else { return [] }
        let last = upload.layout.number(containing: max(state.lastWrite - 1, 0))
        // In order of writing only the last parts are new; behind a gap all are looked at once.
        var numbers: [Int] = []
        var number = last
        while number >= 1, upload.parts[number] == nil {
            let range = upload.layout.range(of: number)
            if state.extents.consists(range, of: [.dirty]) { numbers.append(number) }
            number -= 1
            if last - number > 64 { break }
        }
        for number in numbers { state.upload?.parts[number] = .queued }
        return numbers.reversed()
    }

    private func createStream() {
        headers { [self] result in
            switch result {
            case .failure(let failure): streamCreated(.failure(failure))
            case .success(let headers):
                let key = locked { state in
                    state.upload?.headers = headers
                    return state.key
                }
                context.store.createUpload(key, headers: headers) { [self] result in
                    streamCreated(result.mapError { WriteFailure($0) })
                }
            }
        }
    }

    private func streamCreated(_ result: Result<MultipartUpload, WriteFailure>) {
        let quiet: (@Sendable () -> Void)?
        switch result {
        case .success(let upload):
            let id = context.records.began(upload)
            quiet = locked { state in
                state.upload?.upload = upload
                state.upload?.journalID = id
                return quietNow(&state)
            }
        case .failure(let failure):
            // The publish tries again, and says so if it fails too.
            quiet = locked { state in
                let quiet = state.upload?.whenQuiet
                state.upload = nil
                state.failure = failure
                return quiet
            }
        }
        quiet?()
        stream()
    }

    /// Sends one queued part when its turn comes.
    private func send(_ number: Int) {
        context.slots.enter { [self] in
            let job: (MultipartUpload, StagedBody, Range<Int64>)? = locked { state in
                guard let upload = state.upload, let named = upload.upload,
                    case .queued? = upload.parts[number], !upload.isClosing,
                    let staged = state.staged
                else { return nil }
                let range = upload.layout.range(of: number)
                state.upload?.parts[number] = .sending
                state.frozen.append(range)
                return (named, StagedBody(staged, range), range)
            }
            guard let (upload, body, range) = job else { return context.slots.leave() }
            context.store.uploadPart(upload, number: number, body: body) { [self] result in
                context.slots.leave()
                sent(number, range, result)
            }
        }
    }

    private func sent(
        _ number: Int, _ range: Range<Int64>, _ result: Result<UploadedPart, StoreError>
    ) {
        let (woken, quiet) = locked { state -> ([@Sendable () -> Void], (@Sendable () -> Void)?) in
            let woken = state.thaw(range)
            guard state.upload != nil else { return (woken, nil) }
            switch result {
            case .success(let part):
                state.upload?.parts[number] = .done(part)
                // The first part stays: many programs come back to write a header.
                if number > 1 { unstage(range, as: .sent, &state) }
            case .failure(let error):
                state.upload?.parts[number] = nil
                state.upload?.failure = WriteFailure(error)
            }
            return (woken, quietNow(&state))
        }
        wake(woken)
        quiet?()
    }

    /// Who waits for the stream to be quiet, if it is. Under the lock.
    private func quietNow(_ state: inout FileState) -> (@Sendable () -> Void)? {
        guard let upload = state.upload, upload.upload != nil, !upload.isSending else { return nil }
        defer { state.upload?.whenQuiet = nil }
        return upload.whenQuiet
    }

    /// Stops sending on the side; `then` is called once nothing is being sent. Inside the gate.
    func closeStream(then: @escaping @Sendable () -> Void) {
        let isQuiet = locked { state in
            guard let upload = state.upload else { return true }
            state.upload?.isClosing = true
            for (number, part) in upload.parts {
                if case .queued = part { state.upload?.parts[number] = nil }
            }
            if upload.upload != nil, !upload.isSending { return true }
            state.upload?.whenQuiet = then
            return false
        }
        if isQuiet { then() }
    }

    // MARK: Room

    /// Lets confirmed parts leave the staging area. Returns true when that freed anything.
    @discardableResult
    func giveRoom() -> Bool {
        locked { state in
            let before = state.claimed
            if let upload = state.upload {
                for number in upload.done.keys.sorted() {
                    let range = upload.layout.range(of: number).clamped(to: 0..<state.size)
                    if state.extents.consists(range, of: [.dirty]) {
                        unstage(range, as: .sent, &state)
                    }
                }
            }
            for extent in state.extents.extents(in: 0..<state.size)
            where extent.source == .clean && !state.isFrozen(extent.range) {
                unstage(extent.range, as: .base, &state)
            }
            return state.claimed < before
        }
    }

    /// Waits until the staging area has room; fails when none will come.
    func makeRoom(
        for bytes: Int64, then: @escaping @Sendable (WriteFailure?) -> Void
    ) {
        if context.reclaim() {
            // Others may be quicker, then it is tried again.
            context.scheduler.run { then(nil) }
            return
        }
        let failure = locked { state in
            defer { state.upload?.failure = nil }
            return state.upload?.failure
        }
        if let failure { return then(failure) }
        stream()
        if !context.slots.isBusy, hurryOthers(then: { then(nil) }) { return }
        guard context.slots.isBusy else {
            let (claimed, limit) = context.staging.usage
            return then(
                WriteFailure(
                    errno: .noSpace,
                    reason: "the staging area is full (\(claimed) of \(limit) bytes); "
                        + "raise --staging-limit, or free space on its disk"))
        }
        context.staging.whenReleased { [self] in context.scheduler.run { then(nil) } }
    }

    /// Has files published now that wait for their time (write-back): the first that is done makes
    /// room. False when there are none; those that failed are none.
    private func hurryOthers(then: @escaping @Sendable () -> Void) -> Bool {
        let waiting = context.files.all.filter { file in
            file !== self
                && file.locked {
                    $0.isGathering && $0.hasNewContent && !$0.isRemoved && $0.failure == nil
                        && $0.claimed > 0
                }
        }
        let isDone = SendableBox(false)
        for file in waiting.prefix(context.configuration.parallelUploads) {
            file.publish(attributes: true) { [context] _ in
                _ = context.reclaim()
                let isFirst = isDone.update { isDone in
                    defer { isDone = true }
                    return !isDone
                }
                if isFirst { context.scheduler.run(then) }
            }
        }
        return !waiting.isEmpty
    }

    // MARK: Giving up

    /// Aborts an upload that is of no use any more; nobody waits for it.
    func abandon(_ upload: MultipartUpload, journalID: Int64? = nil) {
        context.store.abortUpload(upload) { [context] result in
            switch result {
            case .success: if let journalID { context.records.ended(journalID) }
            case .failure(let error):
                context.logger.notice(
                    "AbortMultipartUpload \(upload.key): \(error); the next mount tries again")
            }
        }
    }

    /// Ends the stream of a file that was removed or emptied. Inside the gate.
    func dropStream(then: @escaping @Sendable () -> Void) {
        closeStream { [self] in
            let (upload, journalID) = locked { state in
                defer { state.upload = nil }
                return (state.upload?.upload, state.upload?.journalID)
            }
            if let upload { abandon(upload, journalID: journalID) }
            then()
        }
    }
}
