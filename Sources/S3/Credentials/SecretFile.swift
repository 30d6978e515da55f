// Reads small files that hold secrets, whole, by the path the user named.

internal import Glibc

enum SecretFile {
    static let sizeLimit = 1 << 20

    enum Problem: Error, Hashable {
        case missing
        /// One line with the path.
        case unusable(String)
    }

    /// The file's bytes.
    ///
    /// - Parameter isPrivate: refuses a file that group or others may read.
    static func read(_ path: String, isPrivate: Bool) throws(Problem) -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { throw .missing }
            throw .unusable("cannot read \(path): \(unsafe String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else {
            throw .unusable("cannot read \(path): \(unsafe String(cString: strerror(errno)))")
        }
        guard status.st_mode & S_IFMT != S_IFDIR else { throw .unusable("\(path) is a directory") }
        let isRegular = status.st_mode & S_IFMT == S_IFREG
        if isPrivate, isRegular, status.st_mode & 0o077 != 0 {
            throw .unusable(
                "\(path) holds a secret and others may read it: run chmod 600 \(path)")
        }
        var bytes = [UInt8]()
        var piece = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = unsafe Glibc.read(descriptor, &piece, piece.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw .unusable("cannot read \(path): \(unsafe String(cString: strerror(errno)))")
            }
            if count == 0 { return bytes }
            bytes += piece[..<count]
            guard bytes.count <= sizeLimit else {
                throw .unusable("\(path) is too large to be a credentials file")
            }
        }
    }

    /// The lines of a text file: BOM and CRLF of Windows taken away.
    static func lines(_ bytes: [UInt8]) -> [String] {
        let body = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...]
        return body.split(omittingEmptySubsequences: false) { $0 == 0x0A }.map { line in
            String(decoding: line.last == 0x0D ? line.dropLast() : line, as: UTF8.self)
        }
    }
}
