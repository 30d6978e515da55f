// The headers that a file is published with: what its object carries already, over that its
// attributes, and for a new object what its name says.

import Operations
import S3

extension WritableFile {
    /// The headers of the next publish. Asks the server for those of an object that is only changed.
    func headers(then: @escaping @Sendable (Result<ObjectHeaders, WriteFailure>) -> Void) {
        enum Next {
            case known(ObjectHeaders)
            case ask(ObjectKey)
        }
        let next: Next = locked { state in
            if let headers = headers(of: state) { return .known(headers) }
            return .ask(state.published?.key ?? state.key)
        }
        guard case .ask(let key) = next else {
            if case .known(let headers) = next { then(.success(headers)) }
            return
        }
        context.store.head(key) { [self] result in
            switch result {
            case .success(let head):
                let headers = locked { state in
                    if state.headers == nil { state.headers = head.kept }
                    return self.headers(of: state)!
                }
                then(.success(headers))
            case .failure(let error) where error.kind == .notFound:
                // Replaced or removed elsewhere: the publish's own condition decides.
                let headers = locked { state in
                    if state.headers == nil { state.headers = ObjectHeaders() }
                    return self.headers(of: state)!
                }
                then(.success(headers))
            case .failure(let error): then(.failure(WriteFailure(error)))
            }
        }
    }

    /// The headers as the state has them; nil while those of the published object are unknown.
    private func headers(of state: FileState) -> ObjectHeaders? {
        var headers: ObjectHeaders
        if let known = state.headers {
            headers = known
        } else if state.published == nil {
            headers = ObjectHeaders()
        } else {
            return nil
        }
        let configuration = context.configuration
        headers.contentType = headers.contentType ?? configuration.contentType(state.key)
        headers.cacheControl = headers.cacheControl ?? configuration.cacheControl(state.key)
        headers.metadata = AttributeHeaders.metadata(
            kind: state.record.kind, permissions: state.record.permissions, uid: state.record.uid,
            gid: state.record.gid, modified: state.record.modified, over: headers.metadata)
        return headers
    }
}

extension ObjectHead {
    /// What a new version of the object takes over.
    var kept: ObjectHeaders {
        ObjectHeaders(
            contentType: contentType, cacheControl: cacheControl, contentEncoding: contentEncoding,
            contentDisposition: contentDisposition, contentLanguage: contentLanguage,
            expires: expires, storageClass: storageClass == .standard ? nil : storageClass,
            metadata: metadata)
    }
}
