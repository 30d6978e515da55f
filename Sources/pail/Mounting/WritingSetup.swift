// What a mount needs to write: a staging area, and the permission to write.

import BlockStore
import ContentTypes
import FileSystem
import Glibc
import Logging
import S3

/// The writing half of a mount, or the reason why there is none.
struct WritingSetup {
    let staging: DiskStaging

    /// Prepares writing; nil when the mount is to be read-only, or the credentials cannot write.
    /// Waits for the network.
    ///
    /// - Parameter warn: told why a mount that was to be written to is read-only.
    static func prepare(
        _ configuration: MountConfiguration, _ client: S3Client, logger: Logger,
        warn: (String) -> Void
    ) throws(CommandFailure) -> WritingSetup? {
        guard !configuration.isReadOnly else { return nil }
        let answer = Waiter<Result<StoreCapabilities, StoreError>>()
        client.probeWriting(under: configuration.source.rootPrefix) { answer.answer($0) }
        switch answer.wait() {
        case .success(let found): say(found, configuration, warn)
        case .failure(let error) where error.kind == .accessDenied:
            warn(
                "the credentials may not write below \(configuration.source): mounted read-only "
                    + "(--read-only says so without asking; writing takes s3:PutObject, "
                    + "s3:DeleteObject and s3:AbortMultipartUpload)")
            return nil
        case .failure(let error):
            throw CommandFailure(
                Escaping.line("cannot write below \(configuration.source): \(error)"),
                .temporary)
        }
        return WritingSetup(staging: try openStaging(configuration, client, logger))
    }

    private static func say(
        _ found: StoreCapabilities, _ configuration: MountConfiguration, _ warn: (String) -> Void
    ) {
        if let name = configuration.storageClass, StorageClass(rawValue: name).isArchived {
            warn(
                "files in storage class \(name) can only be read again after they were restored "
                    + "(--storage-class GLACIER_IR needs no restoring)")
        }
        guard found.conditionalPut == false else { return }
        warn(
            "the server ignores conditions on writes: two machines that write the same file at the "
                + "same time may overwrite each other (it is looked at before each write)")
    }

    private static func openStaging(
        _ configuration: MountConfiguration, _ client: S3Client, _ logger: Logger
    ) throws(CommandFailure) -> DiskStaging {
        guard let directory = configuration.stagingDirectory else {
            throw CommandFailure(
                "no place to keep files until they are written to the bucket: give --cache-dir, "
                    + "set HOME, or mount with --read-only", .usage)
        }
        let disk = LocalCache.diskSize(at: directory)
        let free =
            disk.map { disk in
                configuration.cacheFree?.bytes(ofDisk: disk)
                    ?? MountConfiguration.defaultCacheFree(ofDisk: disk)
            } ?? 0
        let prefix = String(decoding: configuration.source.rootPrefix, as: UTF8.self)
        do {
            return try DiskStaging(
                directory: directory, store: client.storeName, basePath: prefix,
                limit: configuration.stagingLimit, keepFree: free, logger: logger)
        } catch {
            throw CommandFailure(
                Escaping.line(
                    "\(error); files wait there until they are written to the bucket: give "
                        + "another --cache-dir, or mount with --read-only"), .system)
        }
    }

    /// The machine's own types of names, over the built-in ones.
    private static func contentTypes() -> ContentTypes {
        let fd = unsafe open("/etc/mime.types", O_RDONLY | O_CLOEXEC)
        guard fd >= 0 else { return ContentTypes() }
        defer { close(fd) }
        var text = [UInt8](repeating: 0, count: ContentTypes.mostBytes)
        let count = unsafe text.withUnsafeMutableBytes { memory in
            unsafe read(fd, memory.baseAddress, memory.count)
        }
        return ContentTypes(mimeTypes: Array(text.prefix(max(count, 0))))
    }

    /// The rooms of the file system's writing half.
    func rooms(_ client: S3Client, _ configuration: MountConfiguration) -> WritingRooms {
        let types = Self.contentTypes()
        // Checked with the options.
        let givenTypes = try? NameRules(configuration.contentType)
        let cacheControl = try? NameRules(configuration.cacheControl)
        let prefix = configuration.source.rootPrefix.count
        var writing = WritingConfiguration(
            contentType: { key in
                let path = Array(key.bytes.dropFirst(prefix))
                let name = path[((path.lastIndex(of: 0x2F) ?? -1) + 1)...]
                return givenTypes?.value(for: path) ?? types.type(of: Array(name))
            },
            cacheControl: { cacheControl?.value(for: Array($0.bytes.dropFirst(prefix))) },
            isWriteBack: configuration.isWriteBack, quota: configuration.quota)
        if let size = configuration.partSize {
            writing.partSize = size
            writing.hasFixedParts = true
        }
        return WritingRooms(configuration: writing, store: client, staging: staging)
    }
}
