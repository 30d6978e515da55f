// Extended attributes, read only: what S3 knows of an object beyond stat(2).
//
//   user.s3.key, .etag, .storage-class, .url      from the listing
//   user.s3.content-type, .version-id, .meta.NAME  from headers: one HEAD, then remembered with the
//                                                  ETag
//
// `ls -l`, `cp -a` and rsync list the attributes of every file they touch. So a list names what is
// in memory already, the header's attributes only once a HEAD or a read has brought them; asking
// for one by name always gives it. Other names are answered without a look at the inode: ENODATA in
// the `user` namespace, EOPNOTSUPP outside it (security.selinux, ...), which `ls -l` remembers for
// the whole file system where it would ask for every file again after ENODATA.

import Operations
import S3

extension NamespaceState {
    private static let space = Array("user.s3.".utf8)
    private static let userSpace = Array("user.".utf8)

    mutating func getExtendedAttribute(
        _ number: InodeNumber, name: [UInt8], reply: Reply<[UInt8]>
    ) {
        guard name.starts(with: Self.space) else {
            let isUser = name.starts(with: Self.userSpace)
            deferred.append { _ in reply.fail(isUser ? .noData : .notSupported) }
            return
        }
        let wanted = String(decoding: name.dropFirst(Self.space.count), as: UTF8.self)
        guard let place = place(of: number) else {
            let isRoot = number == Self.rootInode && wanted == "key"
            let prefix = configuration.rootPrefix
            deferred.append { _ in reply.answer(isRoot ? .success(prefix) : .failure(.noData)) }
            return
        }
        if let value = known(wanted, of: place) {
            deferred.append { _ in reply.succeed(value) }
        } else if wanted == "url", !place.entry.isDirectory {
            let key = key(of: place)
            deferred.append { namespace in
                reply.succeed(Array(namespace.store.url(of: key).utf8))
            }
        } else if !place.entry.isDirectory, Self.isFromHeaders(wanted) {
            headAttribute(wanted, of: place, reply: reply)
        } else {
            deferred.append { _ in reply.fail(.noData) }
        }
    }

    mutating func listExtendedAttributes(_ number: InodeNumber, reply: Reply<[[UInt8]]>) {
        var names = ["key"]
        if let place = place(of: number), !place.entry.isDirectory {
            names += ["etag", "storage-class", "url"]
            if let head = knownHead(of: place) {
                if head.contentType != nil { names.append("content-type") }
                if head.versionID != nil { names.append("version-id") }
                names += head.metadata.keys.sorted().map { "meta." + $0 }
            }
        }
        let full = names.map { Self.space + Array($0.utf8) }
        deferred.append { _ in reply.succeed(full) }
    }

    private static func isFromHeaders(_ name: String) -> Bool {
        name == "content-type" || name == "version-id" || name.hasPrefix("meta.")
    }

    private func known(_ name: String, of place: Place) -> [UInt8]? {
        if name == "key" { return key(of: place).bytes }
        guard !place.entry.isDirectory else { return nil }
        switch name {
        case "etag": return version(at: place).map { Array($0.etag.text.utf8) }
        case "storage-class": return version(at: place).map { Array($0.storageClass.rawValue.utf8) }
        default: return nil
        }
    }

    private mutating func headAttribute(
        _ name: String, of place: Place, reply: Reply<[UInt8]>
    ) {
        let number = place.entry.number
        guard version(at: place) != nil else {
            deferred.append { _ in reply.fail(.noData) }
            return
        }
        if let head = knownHead(of: place) {
            let value = Self.value(name, head)
            deferred.append { _ in reply.answer(value) }
            return
        }
        fetchHead(of: place) { state, result in
            let path = state.path(of: number)
            state.deferred.append { namespace in
                switch result {
                case .success(let head): reply.answer(Self.value(name, head))
                case .failure(let error):
                    namespace.report(error, operation: "getxattr", path: path)
                    reply.fail(Failure(error).errno)
                }
            }
        }
    }

    private func knownHead(of place: Place) -> ObjectHead? {
        version(at: place).flatMap { heads.head(of: place.entry.number, etag: $0.etag) }
    }

    private static func value(_ name: String, _ head: ObjectHead) -> Result<[UInt8], Errno> {
        let text: String? =
            switch name {
            case "content-type": head.contentType
            case "version-id": head.versionID
            default: head.metadata[String(name.dropFirst("meta.".count)).lowercased()]
            }
        return text.map { .success(Array($0.utf8)) } ?? .failure(.noData)
    }
}
