import Synchronization
import Testing
import Transport

@testable import S3

private let etag = ("ETag", "\"abc\"")
private let modified = ("Last-Modified", "Mon, 12 Oct 2009 17:50:00 GMT")
private let headAnswer = FakeAnswer(headers: [("Content-Length", "12"), etag, modified])

/// Bytes `range` of an object of `total` bytes whose byte at `n` is `n % 251`.
private func part(
    _ range: Range<Int64>, of total: Int64, etag: String = "\"abc\"", send: Int64? = nil,
    failure: HTTPTransportError.Kind? = nil
) -> FakeAnswer {
    let sent = range.lowerBound..<(range.lowerBound + (send ?? Int64(range.count)))
    let bytes = sent.map { UInt8($0 % 251) }
    let chunks = stride(from: 0, to: bytes.count, by: 7).map {
        Array(bytes[$0..<min($0 + 7, bytes.count)])
    }
    return FakeAnswer(
        status: 206,
        headers: [
            ("content-length", "\(range.count)"),
            ("content-range", "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(total)"),
            ("etag", etag), modified,
        ], chunks: chunks, failure: failure)
}

private func whole(_ total: Int64, send: Int64? = nil, failure: HTTPTransportError.Kind? = nil)
    -> FakeAnswer
{
    var answer = part(0..<max(total, 1), of: max(total, 1), send: send ?? total, failure: failure)
    answer.status = 200
    answer.headers = [("content-length", "\(total)"), etag, modified]
    return answer
}

private func expected(_ range: Range<Int64>) -> [UInt8] { range.map { UInt8($0 % 251) } }

struct RetryTests {
    @Test(arguments: [
        FakeAnswer(status: 500), FakeAnswer(status: 502), FakeAnswer(status: 504),
        .error(503, "SlowDown"), FakeAnswer(status: 429),
        .error(500, "InternalError"), .failing(.connectionLost), .failing(.connectFailed),
        .failing(.tls), .failing(.stalled), .failing(.bodyTooShort), .failing(.nameNotResolved),
    ])
    func triesAgain(trouble: FakeAnswer) throws {
        let bench = try Bench { _, number in number < 2 ? trouble : headAnswer }
        #expect(try bench.head("k").get().size == 12)
        #expect(bench.server.requests.count == 3)
        let records = bench.observer.records.withLock { $0 }
        #expect(records.map(\.isRetried) == [true, true, false])
        #expect(records.map(\.attempt) == [1, 2, 3])
        #expect(bench.clock.pendingTimers == 0)
    }

    @Test(arguments: [
        (FakeAnswer(status: 404), StoreError.Kind.notFound),
        (FakeAnswer(status: 403), .accessDenied),
        (FakeAnswer(status: 401), .badCredentials), (FakeAnswer(status: 412), .preconditionFailed),
        (FakeAnswer(status: 400), .other), (.failing(.certificate), .tls),
    ])
    func givesUpAtOnce(trouble: FakeAnswer, kind: StoreError.Kind) throws {
        let bench = try Bench { _, _ in trouble }
        #expect(try bench.head("k").kind == kind)
        #expect(bench.server.requests.count == 1)
    }

    @Test(arguments: [
        (404, "NoSuchKey", StoreError.Kind.notFound), (404, "NoSuchBucket", .noSuchBucket),
        (403, "AccessDenied", .accessDenied), (403, "InvalidAccessKeyId", .badCredentials),
        (403, "SignatureDoesNotMatch", .badCredentials), (403, "InvalidObjectState", .archived),
        (412, "PreconditionFailed", .preconditionFailed), (416, "InvalidRange", .invalidRange),
        (405, "MethodNotAllowed", .other),
    ])
    func knowsS3sCodes(status: Int, code: String, kind: StoreError.Kind) throws {
        let bench = try Bench { _, _ in
            .error(status, code, headers: [("x-amz-request-id", "tx1")])
        }
        let got = bench.get(GetRequest(key: ObjectKey("k"), range: 0..<9))
        #expect(got.bytes.isEmpty && got.head == nil)
        guard case .failure(let error) = got.results.first else {
            Issue.record("an error was taken for data")
            return
        }
        #expect(error.kind == kind && error.code == code && error.requestID == "tx1")
        #expect(error.status == status)
        #expect(bench.server.requests.count == 1)
    }

    @Test func triesAgainAfterARequestTimeout() throws {
        let bench = try Bench { request, number in
            if number == 0 { return .error(400, "RequestTimeout") }
            return whole(30)
        }
        #expect(bench.get(GetRequest(key: ObjectKey("k"))).bytes == expected(0..<30))
        #expect(bench.server.requests.count == 2)
    }

    @Test func endsAtTheDeadline() throws {
        let bench = try Bench { _, _ in FakeAnswer(status: 503) }
        let start = bench.clock.now
        #expect(try bench.head("k").kind == .unavailable)
        let took = bench.clock.now - start
        #expect(took <= .seconds(60) && took > .seconds(45))
        #expect(bench.server.requests.count > 8)
    }

    @Test func endsWhenNothingAnswers() throws {
        let bench = try Bench { _, _ in FakeAnswer(hangs: true) }
        let start = bench.clock.now
        #expect(try bench.head("k").kind == .timedOut)
        #expect(bench.clock.now - start == .seconds(60))
        #expect(bench.get(GetRequest(key: ObjectKey("k"))).results.first?.kind == .timedOut)
        #expect(bench.clock.now - start == .seconds(120))
    }

    @Test func aSlowBodyMayTakeLongAsLongAsBytesCome() throws {
        let bench = try Bench { _, _ in
            var answer = whole(70)
            answer.pace = .seconds(50)
            return answer
        }
        let start = bench.clock.now
        let got = bench.get(GetRequest(key: ObjectKey("k")))
        #expect(got.bytes == expected(0..<70) && got.results.first?.kind == nil)
        #expect(bench.clock.now - start == .seconds(500))
    }

    @Test func aStalledBodyEndsWithoutAnotherByte() throws {
        let bench = try Bench { _, _ in
            var answer = whole(70)
            answer.pace = .seconds(61)
            return answer
        }
        let got = bench.get(GetRequest(key: ObjectKey("k")))
        #expect(got.results.map(\.kind) == [.timedOut])
        #expect(got.bytes.isEmpty)
    }

    @Test func honoursRetryAfter() throws {
        let bench = try Bench { _, number in
            number == 0 ? FakeAnswer(status: 503, headers: [("Retry-After", "17")]) : headAnswer
        }
        let start = bench.clock.now
        #expect(try bench.head("k").kind == nil)
        #expect(bench.clock.now - start >= .seconds(17))
        let late = try Bench { _, _ in FakeAnswer(status: 503, headers: [("Retry-After", "100")]) }
        #expect(try late.head("k").kind == .unavailable)
        #expect(late.server.requests.count == 1)
    }

    @Test func waitsNoLongerThanTheCap() {
        let policy = RetryPolicy()
        #expect(policy.delay(failures: 1, fraction: 0) == .zero)
        #expect(policy.delay(failures: 1, fraction: 1) == .milliseconds(100))
        #expect(policy.delay(failures: 3, fraction: 0.5) == .milliseconds(200))
        #expect(policy.delay(failures: 1000, fraction: 1) == .seconds(5))
    }

    @Test func cancelAnswersOnceInEveryPhase() throws {
        for phase in 0..<3 {
            let bench = try Bench { _, _ in
                phase == 1 ? FakeAnswer(hangs: true) : FakeAnswer(status: 503)
            }
            let answers = Answers<ObjectHead>()
            let call = bench.client.head(ObjectKey("k")) { result in
                answers.list.withLock { $0.append(result) }
            }
            if phase > 0 { bench.clock.runUntil { !bench.server.requests.isEmpty } }
            if phase == 2 {
                bench.clock.runUntil { !bench.observer.records.withLock { $0.isEmpty } }
            }
            call.cancel()
            #expect(answers.list.withLock { $0.isEmpty }, "answered on the caller's stack")
            call.cancel()
            bench.clock.runAll()
            #expect(answers.list.withLock { $0.map(\.kind) } == [.cancelled])
            #expect(bench.server.requests.count == (phase == 0 ? 0 : 1))
        }
    }

    @Test func correctsTheClockOnce() throws {
        let bench = try Bench(clock: FakeClock(unix: 1_369_353_600 - 7200)) { request, number in
            let date = ("Date", "Fri, 24 May 2013 00:00:00 GMT")
            return request.header("x-amz-date")!.hasPrefix("20130524")
                ? headAnswer : FakeAnswer(status: 403, headers: [date])
        }
        #expect(try bench.head("k").kind == nil)
        #expect(bench.server.requests.count == 2)
        #expect(abs(bench.client.clockOffset.components.seconds - 7200) < 2)
        #expect(try bench.head("k").kind == nil)
        #expect(bench.server.requests.count == 3, "the offset was not remembered")
        let hopeless = try Bench { _, _ in
            .error(
                403, "RequestTimeTooSkewed", headers: [("Date", "Fri, 24 May 2013 00:00:00 GMT")])
        }
        #expect(try hopeless.list().kind == .clockSkew)
        #expect(hopeless.server.requests.count == 2)
    }

    @Test func aDenialWithTheRightClockIsFinal() throws {
        let bench = try Bench(clock: FakeClock(unix: 1_369_353_600)) { _, _ in
            FakeAnswer(status: 403, headers: [("Date", "Fri, 24 May 2013 00:01:00 GMT")])
        }
        #expect(try bench.head("k").kind == .accessDenied)
        #expect(bench.server.requests.count == 1)
        #expect(bench.client.clockOffset == .zero)
    }
}

struct GetTests {
    @Test(arguments: [nil, 10..<200, 0..<1000] as [Range<Int64>?])
    func goesOnWhereABodyBroke(range: Range<Int64>?) throws {
        let bench = try Bench { request, number in
            guard let text = request.header("range") else {
                return whole(300, send: 33, failure: .connectionLost)
            }
            let ends = text.dropFirst(6).split(separator: "-").map { Int64($0)! }
            let asked = ends[0]..<min(ends[1] + 1, 300)
            if number > 0 { #expect(request.header("if-match") == "\"abc\"") }
            return part(
                asked, of: 300, send: min(21, Int64(asked.count)),
                failure: asked.count > 21 ? [.connectionLost, .bodyTooShort, nil][number % 3] : nil)
        }
        let got = bench.get(GetRequest(key: ObjectKey("k"), range: range))
        #expect(got.orderly && got.results.map(\.kind) == [nil])
        #expect(got.heads == 1)
        #expect(got.bytes == expected((range ?? 0..<300).clamped(to: 0..<300)))
    }

    @Test func anotherVersionIsNeverMixedIn() throws {
        let bench = try Bench { _, number in
            number == 0
                ? part(0..<100, of: 100, send: 50, failure: .connectionLost)
                : part(50..<100, of: 100, etag: "\"new\"")
        }
        let got = bench.get(GetRequest(key: ObjectKey("k"), range: 0..<100))
        #expect(got.results.map(\.kind) == [.preconditionFailed])
        #expect(got.bytes == expected(0..<50))
        let pinned = try Bench { _, _ in part(0..<10, of: 10, etag: "\"new\"") }
        let other = pinned.get(GetRequest(key: ObjectKey("k"), range: 0..<10, ifMatch: ETag("abc")))
        #expect(other.results.map(\.kind) == [.preconditionFailed] && other.heads == 0)
    }

    @Test(arguments: [
        part(0..<10, of: 100), part(5..<16, of: 100), part(5..<14, of: 100), part(6..<15, of: 100),
        FakeAnswer(status: 206, headers: [("content-length", "10"), etag, modified]),
        FakeAnswer(
            status: 206, headers: [("content-range", "bytes 5-14/*"), etag, modified]),
        FakeAnswer(
            status: 206,
            headers: [
                ("content-range", "bytes 5-14/100"), ("content-length", "9"), etag, modified,
            ]),
        FakeAnswer(status: 206, headers: [("content-range", "bytes 5-14/100"), modified]),
        FakeAnswer(status: 206, headers: [("content-range", "bytes 5-14/14"), etag, modified]),
        FakeAnswer(status: 200, headers: [etag, modified]), FakeAnswer(status: 204),
        FakeAnswer(
            status: 206, headers: [("content-range", "bytes 5-14/100"), etag, modified],
            chunks: [[UInt8](repeating: 1, count: 11)]),
    ])
    func lyingHeadersAreNoData(answer: FakeAnswer) throws {
        // The third and the last are exact at least in what they say first.
        let bench = try Bench { _, _ in answer }
        let got = bench.get(GetRequest(key: ObjectKey("k"), range: 5..<15))
        #expect(got.results.map(\.kind) == [.malformedResponse])
        #expect(got.bytes.isEmpty)
        #expect(bench.server.requests.count == 3)
    }

    @Test func aTotalThatChangesUnderTheSameETagIsALie() throws {
        let bench = try Bench { _, number in
            number == 0
                ? part(0..<100, of: 200, send: 50, failure: .connectionLost)
                : part(50..<100, of: 300)
        }
        let got = bench.get(GetRequest(key: ObjectKey("k"), range: 0..<100))
        #expect(got.results.map(\.kind) == [.malformedResponse])
    }

    @Test func aServerThatIgnoresRangeIsCutToSize() throws {
        let bench = try Bench { _, _ in whole(100) }
        let got = bench.get(GetRequest(key: ObjectKey("k"), range: 10..<20))
        #expect(got.orderly && got.bytes == expected(10..<20))
        #expect(got.results.map(\.kind) == [nil])
        #expect(got.head?.size == 100)
        let past = bench.get(GetRequest(key: ObjectKey("k"), range: 100..<200))
        #expect(past.results.map(\.kind) == [.invalidRange])
        let far = try Bench { _, _ in
            FakeAnswer(headers: [("content-length", "99999999999"), etag, modified])
        }
        let skipped = far.get(GetRequest(key: ObjectKey("k"), range: (1 << 30)..<(2 << 30)))
        #expect(skipped.results.map(\.kind) == [.malformedResponse])
    }

    @Test func anEmptyObjectIsWhole() throws {
        let bench = try Bench { _, _ in whole(0) }
        let got = bench.get(GetRequest(key: ObjectKey("k")))
        #expect(got.results.map(\.kind) == [nil] && got.bytes.isEmpty && got.head?.size == 0)
    }

    @Test func aBreakBehindTheLastByteIsNone() throws {
        let bench = try Bench { _, _ in whole(30, failure: .connectionLost) }
        let got = bench.get(GetRequest(key: ObjectKey("k")))
        #expect(got.results.map(\.kind) == [nil] && got.bytes == expected(0..<30))
        #expect(bench.server.requests.count == 1)
    }

    @Test func thousandsOfRandomBreaksGiveEveryByteOnce() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SplitMix(seed)
        for _ in 0..<500 {
            let total = Int64.random(in: 1...400, using: &random)
            let low = Int64.random(in: 0..<total, using: &random)
            let high = Int64.random(in: (low + 1)...(total + 50), using: &random)
            let own = Mutex(SplitMix(random.next()))
            let bench = try Bench { request, _ in
                own.withLock { random in
                    let ends = request.header("range")!.dropFirst(6).split(separator: "-")
                    let asked = Int64(ends[0])!..<min(Int64(ends[1])! + 1, total)
                    switch Int.random(in: 0..<6, using: &random) {
                    case 0: return FakeAnswer(status: 503)
                    case 1: return .failing(.connectionLost)
                    case 2 where asked.lowerBound < 60: return whole(total)
                    case 3: return part(asked, of: total)
                    default:
                        return part(
                            asked, of: total,
                            send: Int64.random(in: 0...Int64(asked.count), using: &random),
                            failure: Bool.random(using: &random) ? .connectionLost : nil)
                    }
                }
            }
            let got = bench.get(GetRequest(key: ObjectKey("k"), range: low..<high))
            #expect(got.orderly && got.results.map(\.kind) == [nil], "seed \(seed)")
            #expect(got.bytes == expected(low..<min(high, total)), "seed \(seed)")
        }
    }
}

struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
