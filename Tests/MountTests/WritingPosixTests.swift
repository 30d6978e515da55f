// What POSIX promises, on the mount as on the local disk, but for the deviations named here. README
// lists them for users: keep the two alike.

import Foundation
import Testing

extension Mount {
    @Suite struct WritingPosix {
        private struct Case: Decodable, Equatable {
            let name: String
            let result: Data

            /// The JSON of one line, its result kept as canonical text.
            init(line: String) throws {
                let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
                let entries = try #require(object as? [String: Any])
                name = try #require(entries["case"] as? String)
                result = try JSONSerialization.data(
                    withJSONObject: [try #require(entries["result"])])
            }

            var shown: String { String(decoding: result, as: UTF8.self) }
        }

        /// What is not as on a local disk, what is seen instead, and why.
        private static let deviations: [String: (seen: Set<String>, reason: String)] = [
            "hard_link": (
                [#"[["EPERM","EPERM","ENOENT",["a","d"]]]"#],
                "S3 has no second name for an object; tools fall back to a copy"
            ),
            "rename_exchange": (
                [#"[["EINVAL","A","B"]]"#],
                "two objects cannot change places without a moment at which one is missing"
            ),
            "make_nodes": (
                [#"[["ok","-rw-r-----","EEXIST","EPERM"]]"#], "an object is no pipe or device"
            ),
            "make_socket": ([#"[["EPERM"]]"#], "an object is no socket"),
            "extended_attributes_of_users": (
                [#"[["ENODATA","ENOTSUP","ENOTSUP","ENODATA","ENOTSUP","ENOTSUP"]]"#],
                "extended attributes are those of the object, below user.s3."
            ),
            "names_of_bytes": (
                [#"[["EIO"]]"#, #"[["EINVAL"]]"#, #"[["EILSEQ"]]"#, "[[\"ÿþ-latin-é\"]]"],
                "S3's keys are UTF-8; some servers take other bytes"
            ),
        ]

        /// moto does not find a key with a newline in its name.
        private static let deviationsOfMoto: [String: Set<String>] = [
            "name_with_newline": [#"[["ESTALE"]]"#]
        ]

        private func results(_ directory: String, limit: Double) throws -> [String: Case] {
            let outcome = try must(
                "python3", Project.support("posix.py"), directory, limit: limit)
            let cases = try outcome.lines.map(Case.init)
            return Dictionary(uniqueKeysWithValues: cases.map { ($0.name, $0) })
        }

        @Test(arguments: Server.allCases)
        func `files behave as POSIX says, and are the same after a remount`(
            server: Server
        ) throws {
            let oracle = try TemporaryDirectory("oracle")
            let right = try results(oracle.path, limit: 60)
            #expect(right.count > 80)
            let bucket = try TestBucket(on: server)
            let pail = try MountedPail(bucket, writable: true)
            let seen = try results(pail.mountpoint, limit: 150)
            for (name, expected) in right.sorted(by: { $0.key < $1.key }) {
                let found = try #require(seen[name], "\(name) did not run")
                var allowed = Self.deviations[name]?.seen ?? []
                if server == .moto { allowed.formUnion(Self.deviationsOfMoto[name] ?? []) }
                #expect(
                    found == expected || allowed.contains(found.shown),
                    "\(name): \(found.shown) instead of \(expected.shown)")
            }
            let before = try tree(pail.mountpoint)
            let outcome = pail.stop()
            #expect(outcome.status == 0 || pail.log.contains("names_of_bytes"))
            let again = try MountedPail(bucket, writable: true)
            let after = try tree(again.mountpoint)
            for (path, facts) in before
            where !path.contains("names_of_bytes") && !path.contains("name_with_newline") {
                #expect(after[path] == facts, "\(path)")
            }
            #expect(after.count >= before.count - 2)
        }
    }
}

/// Every path below a directory with its kind, mode, owner, time, size, target and content; of
/// directories, whose time is that of the last change here, without time and size.
func tree(_ directory: String) throws -> [String: String] {
    let outcome = try must(
        "python3", "-c",
        """
        import hashlib, os, stat, sys
        for folder, folders, files in os.walk(sys.argv[1]):
            for name in folders + files:
                path = os.path.join(folder, name)
                status = os.lstat(path)
                facts = [oct(status.st_mode), status.st_uid, status.st_gid]
                if stat.S_ISLNK(status.st_mode):
                    facts += [os.readlink(path)]
                elif stat.S_ISREG(status.st_mode):
                    body = open(path, "rb").read()
                    facts += [status.st_mtime_ns, status.st_size, hashlib.md5(body).hexdigest()]
                # As ASCII: Swift takes two forms of one letter as the same text.
                print(ascii(os.path.relpath(path, sys.argv[1])), facts, sep="\\t")
        """, directory, limit: 120)
    let pairs = outcome.lines.map { line in
        let parts = line.split(separator: "\t", maxSplits: 1)
        return (String(parts[0]), String(parts[1]))
    }
    return Dictionary(uniqueKeysWithValues: pairs)
}
