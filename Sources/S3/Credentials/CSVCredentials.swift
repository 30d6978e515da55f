// The CSV file that the IAM console lets one download, in both of its historical forms:
//   Access key ID,Secret access key
//   User name,Password,Access key ID,Secret access key,Console login link

/// The access key of a downloaded CSV file. Refuses a file that others may read.
public struct CSVCredentials: CredentialsProvider {
    private let path: String

    public init(path: String) { self.path = path }

    public var place: String { path }

    public func credentials(
        completion: @escaping @Sendable (Result<Credentials, CredentialsError>) -> Void
    ) {
        completion(Result { () throws(CredentialsError) in try read() })
    }

    private func read() throws(CredentialsError) -> Credentials {
        let bytes: [UInt8]
        do throws(SecretFile.Problem) {
            bytes = try SecretFile.read(path, isPrivate: true)
        } catch {
            switch error {
            case .missing: throw unusable("\(path): no such file")
            case .unusable(let message): throw unusable(message)
            }
        }
        let rows = Self.rows(SecretFile.lines(bytes))
        guard let header = rows.first else { throw unusable("\(path) is empty") }
        let names = header.map { $0.lowercased() }
        guard let id = names.firstIndex(of: "access key id"),
            let secret = names.firstIndex(of: "secret access key")
        else {
            throw unusable(
                "\(path) is not a credentials file of the IAM console: its first line must name "
                    + "\"Access key ID\" and \"Secret access key\"")
        }
        guard rows.count >= 2 else { throw unusable("\(path) has no second line with the key") }
        guard rows.count == 2 else {
            throw unusable(
                "\(path) holds the keys of several users: leave one line below the first")
        }
        let row = rows[1]
        guard row.count > max(id, secret) else {
            throw unusable("the second line of \(path) has fewer fields than the first")
        }
        return try Credentials(accessKeyID: row[id], secretAccessKey: row[secret])
            .checked(place: path)
    }

    private func unusable(_ message: String) -> CredentialsError {
        CredentialsError(kind: .unusable, message: message)
    }

    /// Rows of trimmed fields (RFC 4180 quotes; no line break inside a field); empty lines left out.
    static func rows(_ lines: [String]) -> [[String]] {
        lines.map(fields).filter { $0 != [""] }
    }

    private static func fields(_ line: String) -> [String] {
        var fields: [[UInt8]] = [[]]
        var isQuoted = false
        var previous: UInt8 = 0
        for byte in line.utf8 {
            if byte == 0x22 {
                // A doubled quote inside quotes is one.
                if !isQuoted, previous == 0x22 { fields[fields.count - 1].append(byte) }
                isQuoted.toggle()
            } else if byte == 0x2C, !isQuoted {
                fields.append([])
            } else {
                fields[fields.count - 1].append(byte)
            }
            previous = byte
        }
        return fields.map { field in
            let text = field.drop { $0 == 0x20 || $0 == 0x09 }
            let end = text.lastIndex { $0 != 0x20 && $0 != 0x09 }.map { $0 + 1 } ?? text.startIndex
            return String(decoding: text[text.startIndex..<end], as: UTF8.self)
        }
    }
}
