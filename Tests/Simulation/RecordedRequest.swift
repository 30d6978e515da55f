public import S3

/// One request that reached the simulated store.
public struct RecordedRequest: Sendable {
    /// How a request ended.
    public enum Outcome: Hashable, Sendable {
        case pending, succeeded
        case failed(StoreError.Kind)
    }

    public var operation: StoreOperation
    /// The key, or the listing's prefix.
    public var key: ObjectKey
    /// GETs: the range asked for; nil for the whole object.
    public var range: Range<Int64>?
    public var ifMatch: ETag?
    /// Listings: all that was asked.
    public var list: ListRequest?
    /// When it was made, by the scheduler's clock.
    public var time: Duration
    /// Body bytes given to the receiver so far (GETs), or read from the body (PutObject, UploadPart).
    public var bytes: Int64 = 0
    public var outcome = Outcome.pending
    /// The change was carried out, whatever the answer said.
    public var tookEffect = false
}
