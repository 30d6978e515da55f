// The operations as async functions, for the control plane only (start-up checks, tests): a Task
// costs more than a cached read. Cancelling the Task cancels the request.

extension ObjectStore {
    /// One page of a listing.
    public func listPage(_ request: ListRequest) async throws(StoreError) -> ListPage {
        try await awaiting { done in list(request, completion: done) }
    }

    /// An object's attributes; `.notFound` when there is none.
    public func headObject(_ key: ObjectKey) async throws(StoreError) -> ObjectHead {
        try await awaiting { done in head(key, completion: done) }
    }
}

extension S3Client {
    /// Asks whether the bucket is there; its region when the server names it.
    public func headBucket(deadline: Duration? = nil) async throws(StoreError) -> String? {
        try await awaiting { done in headBucket(deadline: deadline, completion: done) }
    }

    /// The bucket's region by GetBucketLocation, nil when the server names none that can be signed
    /// for (RGW says `default`).
    public func bucketLocation(deadline: Duration? = nil) async throws(StoreError) -> String? {
        let constraint = try await awaiting { done in
            bucketLocation(deadline: deadline, completion: done)
        }
        return RegionFinder.region(constraint: constraint)
    }

    /// `listPage` with a deadline of its own.
    func listPage(_ request: ListRequest, deadline: Duration) async throws(StoreError) -> ListPage {
        try await awaiting { done in list(request, deadline: deadline, completion: done) }
    }
}

/// Turns a call with a completion into an async one.
func awaiting<T: Sendable>(
    _ start: (@escaping @Sendable (Result<T, StoreError>) -> Void) -> any Cancellable
) async throws(StoreError) -> T {
    let handle = Steps()
    let result: Result<T, StoreError> = await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
            handle.next { start { continuation.resume(returning: $0) } }
        }
    } onCancel: {
        handle.cancel()
    }
    return try result.get()
}
