import Synchronization
import Testing
import Transport

@testable import S3

/// What the user is told before a mount.
struct CheckTests {
    private func check(
        _ prefix: String = "assets/", source: S3Source = S3Source(bucket: "b", region: "us-east-1"),
        credentials: any CredentialsProvider = StaticCredentials(
            Credentials(accessKeyID: "AKID", secretAccessKey: "TOPSECRET"), place: "the test"),
        clock: FakeClock = FakeClock(),
        answer: @escaping @Sendable (HTTPRequest, Int) -> FakeAnswer
    ) async throws -> Result<SourceCheck.Report, SourceCheck.Problem> {
        let bench = try Bench(
            source: source, credentials: credentials, clock: clock, answer: answer)
        let done = Mutex(false)
        let check = SourceCheck(bench.client, prefix: Array(prefix.utf8))
        let task = Task { () -> Result<SourceCheck.Report, SourceCheck.Problem> in
            defer { done.withLock { $0 = true } }
            do throws(SourceCheck.Problem) { return .success(try await check.run()) } catch {
                return .failure(error)
            }
        }
        while !done.withLock({ $0 }) {
            bench.clock.runUntil { done.withLock { $0 } }
            await Task.yield()
        }
        let result = await task.value
        if case .failure(let problem) = result {
            #expect(!"\(problem)".contains("TOPSECRET") && !"\(problem)".contains("\n"))
        }
        return result
    }

    private func problem(_ result: Result<SourceCheck.Report, SourceCheck.Problem>)
        -> SourceCheck.Problem?
    {
        if case .failure(let problem) = result { return problem }
        return nil
    }

    private static let empty = FakeAnswer.xml(
        200, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")

    @Test(arguments: [
        (
            FakeAnswer.error(404, "NoSuchBucket"), SourceCheck.Problem.Kind.noSuchBucket,
            "no bucket \"b\""
        ),
        (
            .error(403, "InvalidAccessKeyId"), .wrongKeyID,
            "does not know the access key id (from the test)"
        ),
        (.error(403, "SignatureDoesNotMatch"), .wrongSecret, "secret access key does not belong"),
        (.error(400, "ExpiredToken"), .expiredToken, "expired"),
        (.error(400, "InvalidToken"), .expiredToken, "not valid"),
        (
            .failing(.connectFailed), .unreachable,
            "cannot reach https://b.s3.us-east-1.amazonaws.com"
        ),
        (.failing(.nameNotResolved), .unreachable, "cannot reach"),
        (.failing(.certificate), .tls, "--ca-bundle"),
        (.error(301, "PermanentRedirect"), .wrongRegion, "give --region"),
        (.error(503, "SlowDown"), .unreachable, "SlowDown again and again"),
        (.xml(200, "<html/>"), .other, "does not answer like S3"),
    ])
    func saysWhatIsWrong(answer: FakeAnswer, kind: SourceCheck.Problem.Kind, words: String)
        async throws
    {
        let problem = problem(try await check { _, _ in answer })
        #expect(problem?.kind == kind)
        #expect(problem?.message.contains(words) == true, "\(problem?.message ?? "no problem")")
    }

    @Test func namesTheMissingStatement() async throws {
        let problem = problem(try await check("a \"b\"/") { _, _ in .error(403, "AccessDenied") })
        #expect(problem?.kind == .cannotList)
        #expect(
            problem?.statement
                == #"{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::b","#
                + #""Condition":{"StringLike":{"s3:prefix":["a \"b\"/*"]}}}"#)
        #expect(
            Diagnosis.listStatement(bucket: "b", prefix: [])
                == #"{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::b"}"#)
        let anonymous = self.problem(
            try await check(credentials: AnonymousCredentials()) { _, _ in
                .error(403, "AccessDenied")
            })
        #expect(anonymous?.message.contains("--no-sign-request") == true)
    }

    @Test func saysHowFarTheClockIsOff() async throws {
        let no = FakeAnswer.error(
            403, "RequestTimeTooSkewed", headers: [("Date", "Fri, 24 May 2013 00:00:00 GMT")])
        let clock = FakeClock(unix: 1_369_353_600 - 1800)
        let problem = problem(try await check(clock: clock) { _, _ in no })
        #expect(problem?.kind == .clockSkew)
        #expect(problem?.message.contains("30 minutes slow") == true)
        let corrected = try await check(clock: FakeClock(unix: 1_369_353_600 + 1800)) { _, number in
            number == 0 ? no : Self.empty
        }.get()
        #expect(corrected.clockOffsetMinutes == -30)
    }

    @Test func listsWhereItLookedForCredentials() async throws {
        let chain = CredentialsChain.standard(environment: ["HOME": "/nonexistent"])
        let problem = problem(try await check(credentials: chain) { _, _ in Self.empty })
        #expect(problem?.kind == .noCredentials)
        #expect(problem?.message.contains("/nonexistent/.aws/credentials") == true)
    }

    @Test func findsTheRegionWithoutTheRightToAskForIt() async throws {
        let report = try await check(source: S3Source(bucket: "b")) { request, _ in
            if request.url.contains("location") { return .error(403, "AccessDenied") }
            if request.url.contains("us-east-1") {
                return FakeAnswer(status: 301, headers: [("x-amz-bucket-region", "eu-north-1")])
            }
            return request.method == "HEAD" ? FakeAnswer() : Self.empty
        }.get()
        #expect(report.region == "eu-north-1" && report.isEmpty)
        let given = try await check { request, _ in
            request.url.contains("us-east-1")
                ? FakeAnswer(status: 301, headers: [("x-amz-bucket-region", "eu-north-1")])
                : Self.empty
        }.get()
        #expect(given.region == "eu-north-1" && given.correctedRegion == "us-east-1")
    }

    @Test func regionsInOrder() {
        let scratch = Scratch()
        let config = scratch.write("config", "[default]\nregion = from-file\n")
        var environment = ["AWS_CONFIG_FILE": config, "HOME": scratch.path]
        func found(_ option: String?) -> String? {
            RegionFinder.configured(
                option: option, environment: environment,
                files: SharedFiles(environment: environment))
        }
        #expect(found("given") == "given")
        #expect(found(nil) == "from-file")
        environment["AWS_DEFAULT_REGION"] = "default-env"
        #expect(found(nil) == "default-env")
        environment["AWS_REGION"] = "env"
        #expect(found(nil) == "env")
        environment = ["HOME": scratch.path]
        #expect(found(nil) == nil)
    }
}
