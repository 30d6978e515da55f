import Testing

@testable import pail

@Suite struct BucketSourceTests {
    @Test(arguments: [
        ("bucket", "bucket", ""),
        ("bucket:", "bucket", ""),
        ("bucket:/", "bucket", ""),
        ("bucket:/assets", "bucket", "assets/"),
        ("bucket:assets", "bucket", "assets/"),
        ("bucket:assets/", "bucket", "assets/"),
        ("bucket:/assets/", "bucket", "assets/"),
        ("bucket:/a/b c/%20:x", "bucket", "a/b c/%20:x/"),
        ("bucket:/...", "bucket", ".../"),
        ("bucket:/.well-known", "bucket", ".well-known/"),
        ("s3://bucket", "bucket", ""),
        ("s3://bucket/", "bucket", ""),
        ("S3://bucket/assets", "bucket", "assets/"),
        ("s3://bucket/assets/", "bucket", "assets/"),
        ("s3://bucket/사진/고양이", "bucket", "사진/고양이/"),
        ("s3://my.bucket/a:b", "my.bucket", "a:b/"),
        ("s3://bucket/\u{301}x", "bucket", "\u{301}x/"), ("bucket:\u{301}x", "bucket", "\u{301}x/"),
    ])
    func accepts(_ text: String, _ bucket: String, _ prefix: String) throws {
        let source = try BucketSource.parse(text)
        #expect(source.bucket == bucket)
        #expect(source.rootPrefix == Array(prefix.utf8))
    }

    @Test(
        arguments: [
            ("", "names no bucket"),
            (":/assets", "names no bucket"),
            ("s3:///assets", "names no bucket"),
            ("bucket/assets", "write bucket:/assets"),
            ("/bucket", "write BUCKET:/PATH"),
            ("bucket://", "is not an S3 address"),
            ("https://bucket.s3.amazonaws.com/x", "--endpoint-url"),
            ("arn:aws:s3:::bucket", "write the bucket's name"),
            ("bucket:/a//b", "two '/' in a row"),
            ("s3://bucket//", "two '/' in a row"),
            ("s3://bucket//a", "two '/' in a row"),
            ("bucket:/a/", nil),
            ("bucket:/a/../b", "takes literally"),
            ("bucket:.", "takes literally"),
            ("bucket:/..", "takes literally"),
            ("bucket:/" + String(repeating: "k", count: 1023), nil),
            ("bucket:/" + String(repeating: "k", count: 1024), "1024 bytes"),
        ] as [(String, String?)])
    func refuses(_ text: String, _ words: String?) {
        do {
            _ = try BucketSource.parse(text)
            #expect(words == nil)
        } catch {
            #expect(words != nil && error.description.contains(words ?? ""), "\(error)")
        }
    }

    @Test(
        arguments: [
            ("my-bucket", nil, nil), ("my.bucket.2", nil, nil), ("0ab", nil, nil),
            ("ab", "3 to 63", "3 to 255"),
            (String(repeating: "a", count: 63), nil, nil),
            (String(repeating: "a", count: 64), "3 to 63", nil),
            (String(repeating: "a", count: 256), "3 to 63", "3 to 255"),
            ("My-Bucket", "did you mean 'my-bucket'", nil),
            ("my_bucket", "--path-style", nil),
            ("-bucket", "begin and end", "begin and end"),
            ("bucket.", "begin and end", "begin and end"),
            ("a..b", "two dots", "two dots"), ("buck et", "other than", "other than"),
            ("buck?et", "other than", "other than"), ("사진첩", "other than", "other than"),
            ("10.0.0.1", "IP address", nil), ("10.0.0.1.x", nil, nil),
        ] as [(String, String?, String?)])
    func bucketNames(_ name: String, _ strict: String?, _ lax: String?) {
        for (isStrict, words) in [(true, strict), (false, lax)] {
            do {
                try BucketName.check(name, strict: isStrict)
                #expect(words == nil, "\(name) strict \(isStrict)")
            } catch {
                #expect(words != nil && error.description.contains(words ?? ""), "\(error)")
            }
        }
    }
}
