// The user who may do three things only: GetObject, ListBucket, GetBucketLocation.

import Foundation
import Testing

extension Mount {
    @Suite struct Permissions {
        @Test func `the three permissions are enough, and pail asks for no more`() throws {
            let bucket = try TestBucket()
            try bucket.put("images/a.jpg", text: "a")
            try bucket.put("images/deep/b.jpg", text: "b")
            let relay = try FaultRelay(to: bucket.url)
            for path in ["", "/images"] {
                let pail = try MountedPail(bucket, path: path, url: relay.url)
                try shell("test $(find \"$1\" -type f -exec cat {} + | wc -c) = 2", pail.mountpoint)
                #expect(try run("cat", pail / "absent").errors.contains("No such file"))
                #expect(try run("cat", pail / "images/absent").errors.contains("No such file"))
                for line in pail.log.components(separatedBy: "\n") {
                    #expect(!line.localizedCaseInsensitiveContains("denied"), "\(line)")
                }
            }
            // The same user cannot write, which shows that the server does check.
            let put = try run(
                "bash", "-c",
                """
                echo '{"key":"x","text":"y"}' |
                    python3 "$0" --endpoint-url "$1" put "$2"
                """, Project.s3, bucket.url, bucket.name, environment: Server.reader())
            #expect(put.errors.contains("403"))
        }
    }
}
