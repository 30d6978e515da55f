// Copying a version of an object within the bucket: CopyObject, or parts where it is too large.

import Operations
import S3
import Synchronization

/// Copies objects.
struct Copier: Sendable {
    let context: WritingContext

    /// Bytes of one part of a large copy.
    private static let part: Int64 = 1 << 30

    /// Copies a version, if it still is one.
    ///
    /// - Parameter headers: nil keeps those of the source.
    func copy(
        _ version: ObjectVersion, to key: ObjectKey, headers: ObjectHeaders?,
        condition: WriteCondition,
        then: @escaping @Sendable (Result<WrittenObject, WriteFailure>) -> Void
    ) {
        let isHonoured = context.store.capabilities.conditionalCopy == true
        context.checked(condition, key, isHonoured: isHonoured) { [self] refusal in
            if let refusal { return then(.failure(refusal)) }
            send(version, to: key, headers: headers, condition: condition, then: then)
        }
    }

    private func send(
        _ version: ObjectVersion, to key: ObjectKey, headers: ObjectHeaders?,
        condition: WriteCondition,
        then: @escaping @Sendable (Result<WrittenObject, WriteFailure>) -> Void
    ) {
        let wantsAbsent = condition == .absent
        let source = CopySource(key: version.key, etag: version.etag)
        let condition = context.copyCondition(condition)
        context.slots.enter { [context] in
            guard version.size > UploadLimits.largestPart else {
                let request = CopyRequest(
                    source: source, key: key, headers: headers, condition: condition)
                context.store.copy(request) { result in
                    context.slots.leave()
                    then(result.mapError { WriteFailure($0, wantsAbsent: wantsAbsent) })
                }
                return
            }
            let end: @Sendable (Result<WrittenObject, WriteFailure>) -> Void = { result in
                context.slots.leave()
                then(result)
            }
            withHeaders(headers, of: version, end) { headers in
                copyParts(version, to: key, headers, condition, then: end)
            }
        }
    }

    private func withHeaders(
        _ headers: ObjectHeaders?, of version: ObjectVersion,
        _ end: @escaping @Sendable (Result<WrittenObject, WriteFailure>) -> Void,
        then: @escaping @Sendable (ObjectHeaders) -> Void
    ) {
        if let headers { return then(headers) }
        context.store.head(version.key) { result in
            switch result {
            case .success(let head): then(head.kept)
            case .failure(let error): end(.failure(WriteFailure(error)))
            }
        }
    }

    private func copyParts(
        _ version: ObjectVersion, to key: ObjectKey, _ headers: ObjectHeaders,
        _ condition: WriteCondition,
        then: @escaping @Sendable (Result<WrittenObject, WriteFailure>) -> Void
    ) {
        context.store.createUpload(key, headers: headers) { [self] result in
            switch result {
            case .failure(let error): then(.failure(WriteFailure(error)))
            case .success(let upload):
                let journalID = context.records.began(upload)
                let layout = PartLayout(first: Self.part, isFixed: true)
                let ranges = layout.numbers(size: version.size).map { number in
                    (number, layout.range(of: number).clamped(to: 0..<version.size))
                }
                copy(ranges[...], of: version, upload, []) { [self] result in
                    switch result {
                    case .failure(let failure): abort(upload, journalID, failure, then)
                    case .success(let parts):
                        context.store.completeUpload(upload, parts: parts, condition: condition) {
                            [self] result in
                            switch result {
                            case .success(let written):
                                if let journalID { context.records.ended(journalID) }
                                then(.success(written))
                            case .failure(let error):
                                let wantsAbsent = condition == .absent
                                abort(
                                    upload, journalID,
                                    WriteFailure(error, wantsAbsent: wantsAbsent), then)
                            }
                        }
                    }
                }
            }
        }
    }

    private func copy(
        _ ranges: ArraySlice<(Int, Range<Int64>)>, of version: ObjectVersion,
        _ upload: MultipartUpload, _ done: [UploadedPart],
        then: @escaping @Sendable (Result<[UploadedPart], WriteFailure>) -> Void
    ) {
        guard let (number, range) = ranges.first else { return then(.success(done)) }
        let source = CopySource(key: version.key, etag: version.etag)
        context.store.copyPart(upload, number: number, source: source, range: range) {
            [self] result in
            switch result {
            case .success(let part):
                copy(ranges.dropFirst(), of: version, upload, done + [part], then: then)
            case .failure(let error): then(.failure(WriteFailure(error)))
            }
        }
    }

    private func abort(
        _ upload: MultipartUpload, _ journalID: Int64?, _ failure: WriteFailure,
        _ then: @escaping @Sendable (Result<WrittenObject, WriteFailure>) -> Void
    ) {
        context.store.abortUpload(upload) { [context] result in
            if case .success = result, let journalID { context.records.ended(journalID) }
            then(.failure(failure))
        }
    }
}
