// What is known of one file that is being changed. Lives under its WritableFile's lock.

import BlockStore
import Operations
import S3

/// A file's content and attributes, as far as they are not simply an object's.
struct FileState {
    var key: ObjectKey
    /// The published version that `.base` and `.clean` bytes are of; nil before the first publish,
    /// and once everything was replaced.
    var base: ObjectVersion?
    /// The version in the bucket under the key, whether bytes of it are kept or not; nil for none.
    var published: ObjectVersion?
    /// Made with O_EXCL and not in the bucket yet: the first publish must find the key absent.
    var isExclusive = false
    /// Unlinked, or replaced by a rename: nothing is published any more.
    var isRemoved = false
    /// Removed while it was open and its bytes were needed: the object goes with the last handle.
    var deletesAtEnd = false
    /// The record of a removed object that this file's first publish replaces.
    var replacedRecord: Int64?

    var extents: ExtentMap
    var staged: (any StagedFile)?
    /// Bytes claimed from the staging area.
    var claimed: Int64 = 0

    /// Its attributes. Its size is that of the extents.
    var record: LocalRecord
    /// What the object carries besides its attributes; nil while a published object's are unknown.
    var headers: ObjectHeaders?

    /// Counted at every change of bytes, and the count that is in the bucket.
    var contentChange = 0
    var publishedContent = 0
    /// Likewise for attributes and headers.
    var attributeChange = 0
    var publishedAttributes = 0

    /// Bytes that are being sent: writes to them wait.
    var frozen: [Range<Int64>] = []
    /// Work that waits for bytes to thaw.
    var parked: [@Sendable () -> Void] = []
    var upload: StreamedUpload?
    /// Where the last write ended.
    var lastWrite: Int64 = 0

    /// Operations that have the file in hand; open handles are counted in their own table.
    var users = 0
    /// Why the last publish failed, until one succeeds.
    var failure: WriteFailure?
    /// Why an earlier life of the mount could not publish it, one line.
    var problem: String?
    /// A publish of its attributes is planned.
    var isGathering = false
    /// The number of its record in the journal: a file that waits to be published, or an object
    /// that goes with the last handle.
    var journalID: Int64?
    /// The record is being written.
    var isKeeping = false
    /// The count of content changes that the record tells of.
    var keptContent = 0
    /// The staged file that the record names, where the file was emptied since: it stays until there
    /// is another record.
    var promised: (any StagedFile)?
    /// Since when it waits to be published, in nanoseconds since 1970.
    var waitsSince: Int64?

    var size: Int64 { extents.size }
    /// The attributes as stat(2) is to show them.
    var shown: LocalRecord {
        var record = record
        record.size = size
        return record
    }
    var hasNewContent: Bool { contentChange != publishedContent }
    var hasNewAttributes: Bool { attributeChange != publishedAttributes }
    /// Something of it is not in the bucket.
    var isDirty: Bool { !isRemoved && (hasNewContent || hasNewAttributes) }

    /// The journal says (or is about to) that the staged bytes are all there is: none may be let go.
    var isPromised: Bool { journalID != nil || isKeeping }

    /// Bytes of it were in an upload that is gone.
    var isLost: Bool { upload == nil && extents.contains([.sent]) }

    /// Bytes of it are only in the published version.
    var needsBase: Bool { base != nil && extents.contains([.base]) }

    /// Whether and on what the next publish depends.
    var condition: WriteCondition {
        if isExclusive { return .absent }
        if let base, extents.contains([.base, .clean]) { return .matches(base.etag) }
        return .none
    }

    func isFrozen(_ range: Range<Int64>) -> Bool {
        frozen.contains { $0.overlaps(range) }
    }

    /// Ends the sending of a range. Returns the work that may go on.
    mutating func thaw(_ range: Range<Int64>) -> [@Sendable () -> Void] {
        if let index = frozen.firstIndex(of: range) { frozen.remove(at: index) }
        let woken = parked
        parked = []
        return woken
    }

    /// All bytes, also those that a write would add.
    static let everything: Range<Int64> = 0..<Int64.max
}

/// A multipart upload that goes on while the file is still being written.
struct StreamedUpload {
    enum Part {
        /// Waits for its turn; a write takes it back.
        case queued
        case sending
        case done(UploadedPart)
    }

    let layout: PartLayout
    /// Nil until the server has named it.
    var upload: MultipartUpload?
    var parts: [Int: Part] = [:]
    /// The attributes that were fixed when it was created.
    var attributeChange: Int
    /// What it was created with.
    var headers: ObjectHeaders?
    var modified: Int64
    /// Its record in the journal.
    var journalID: Int64?
    /// Set while the file is published: no part is sent on the side any more.
    var isClosing = false
    /// Told when nothing is being sent any more.
    var whenQuiet: (@Sendable () -> Void)?
    /// Why the last part could not be sent.
    var failure: WriteFailure?

    var isSending: Bool {
        parts.values.contains { if case .sending = $0 { true } else { false } }
    }

    /// Parts are on their way, or about to be.
    var isBusy: Bool {
        parts.values.contains { if case .done = $0 { false } else { true } }
    }

    /// The parts that the server has.
    var done: [Int: UploadedPart] {
        parts.compactMapValues { if case .done(let part) = $0 { part } else { nil } }
    }

    /// Bytes change: the parts they are in must be sent (again).
    mutating func forget(_ range: Range<Int64>) {
        guard !parts.isEmpty, !range.isEmpty else { return }
        let last = parts.keys.max() ?? 0
        let first = layout.number(containing: range.lowerBound)
        guard first <= last else { return }
        let end = min(last, layout.number(containing: range.upperBound - 1))
        for number in first...max(first, end) {
            if case .sending? = parts[number] { continue }
            parts[number] = nil
        }
    }
}

extension LocalRecord {
    /// The bytes were changed now.
    ///
    /// Set-id bits go with a write (inode(7)); the kernel leaves that to us (FUSE_HANDLE_KILLPRIV_V2).
    mutating func touch(_ time: Int64) {
        permissions &= permissions & 0o010 != 0 ? 0o1777 : 0o3777
        modified = time
        changed = time
    }
}
