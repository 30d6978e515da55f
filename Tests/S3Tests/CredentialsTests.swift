import Glibc
import Synchronization
import Testing

@testable import S3

/// A directory that goes away with the test.
final class Scratch {
    let path: String

    init() {
        var template = Array("/tmp/pail-s3-XXXXXX".utf8CString)
        path = String(cString: mkdtemp(&template))
    }

    func write(_ name: String, _ text: String, mode: mode_t = 0o600) -> String {
        let file = path + "/" + name
        let descriptor = open(file, O_CREAT | O_TRUNC | O_WRONLY, 0o600)
        let bytes = Array(text.utf8)
        precondition(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
        fchmod(descriptor, mode)
        close(descriptor)
        names.append(file)
        return file
    }

    private var names: [String] = []

    deinit {
        for name in names { unlink(name) }
        rmdir(path)
    }
}

private func ask(_ provider: any CredentialsProvider) -> Result<Credentials, CredentialsError> {
    let answer = Mutex<Result<Credentials, CredentialsError>?>(nil)
    provider.credentials { result in answer.withLock { $0 = result } }
    return answer.withLock { $0! }
}

private let key = Credentials(accessKeyID: "AKIDX", secretAccessKey: "sec+ret/1=")

struct CredentialsTests {
    @Test func environment() throws {
        #expect(
            try ask(
                EnvironmentCredentials([
                    "AWS_ACCESS_KEY_ID": "AKIDX", "AWS_SECRET_ACCESS_KEY": "sec+ret/1=",
                    "AWS_SESSION_TOKEN": "tok",
                ])
            ).get()
                == Credentials(
                    accessKeyID: "AKIDX", secretAccessKey: "sec+ret/1=", sessionToken: "tok"))
        #expect(kind(EnvironmentCredentials([:])) == .notFound)
        #expect(kind(EnvironmentCredentials(["AWS_ACCESS_KEY_ID": "a"])) == .unusable)
        #expect(kind(EnvironmentCredentials(["AWS_SECRET_ACCESS_KEY": "a"])) == .unusable)
        #expect(
            kind(
                EnvironmentCredentials([
                    "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s\r\nX-Evil: 1",
                ])) == .unusable)
    }

    private func kind(_ provider: any CredentialsProvider) -> CredentialsError.Kind? {
        if case .failure(let error) = ask(provider) { return error.kind }
        return nil
    }

    private func files(
        _ scratch: Scratch, _ credentials: String?, _ config: String?, _ profile: String? = nil
    )
        -> SharedFiles
    {
        var environment = ["HOME": scratch.path]
        environment["AWS_SHARED_CREDENTIALS_FILE"] =
            credentials.map { scratch.write("credentials", $0) } ?? "~/none"
        environment["AWS_CONFIG_FILE"] = config.map { scratch.write("config", $0) } ?? "~/none2"
        return SharedFiles(environment: environment, profile: profile)
    }

    @Test(arguments: [
        "[default]\naws_access_key_id = AKIDX\naws_secret_access_key = sec+ret/1=\n",
        "[default]\r\naws_access_key_id=AKIDX\r\naws_secret_access_key=sec+ret/1=\r\n",
        "\u{FEFF}# c\n; c\n\n[ default ]\nAWS_Access_Key_ID\t=\tAKIDX # mine\naws_secret_access_key = sec+ret/1= ; x",
        "[other]\naws_access_key_id=no\n[default]\naws_access_key_id=AKIDX\naws_secret_access_key=sec+ret/1=\n[z]\naws_access_key_id=no",
        "aws_access_key_id=lost\n[default] # comment\naws_access_key_id=AKIDX\naws_secret_access_key=sec+ret/1=\n  aws_access_key_id = nested\nbroken line\n",
    ])
    func credentialsFile(text: String) throws {
        let scratch = Scratch()
        #expect(try ask(SharedFileCredentials(files(scratch, text, nil))).get() == key)
    }

    @Test(arguments: ["[profile dev]", "[profile  \"dev\"]", "[ profile 'dev' ] ; x"])
    func profilesOfTheConfigFile(header: String) throws {
        let scratch = Scratch()
        let text =
            "[dev]\nregion = wrong\n[sso-session dev]\nregion = wrong\n\(header)\n"
            + "region = eu-west-3 # near\ns3 =\n  region = nested\n"
            + "aws_access_key_id = AKIDX\naws_secret_access_key = sec+ret/1=\n"
        let files = files(scratch, nil, text, "dev")
        #expect(try ask(SharedFileCredentials(files)).get() == key)
        #expect(files.region() == "eu-west-3")
    }

    @Test func theCredentialsFileWinsWhole() throws {
        let scratch = Scratch()
        let files = files(
            scratch, "[default]\naws_access_key_id=AKIDX\naws_secret_access_key=sec+ret/1=\n",
            "[default]\naws_access_key_id=other\naws_secret_access_key=o\naws_session_token=t\nregion=r1\n"
        )
        #expect(try ask(SharedFileCredentials(files)).get() == key)
        #expect(files.region() == "r1")
    }

    @Test func missingProfiles() {
        let scratch = Scratch()
        #expect(kind(SharedFileCredentials(files(scratch, "[a]\n", nil))) == .notFound)
        #expect(kind(SharedFileCredentials(files(scratch, "[a]\n", nil, "b"))) == .unusable)
        #expect(
            kind(SharedFileCredentials(files(scratch, "[default]\naws_access_key_id=x\n", nil)))
                == .unusable)
        #expect(kind(SharedFileCredentials(files(scratch, nil, nil))) == .notFound)
    }

    @Test(arguments: [
        "Access key ID,Secret access key\nAKIDX,sec+ret/1=\n",
        "\u{FEFF}Access key ID,Secret access key\r\nAKIDX,sec+ret/1=\r\n",
        "\"Access key ID\",\"Secret access key\"\r\n\"AKIDX\",\"sec+ret/1=\"",
        "User name,Password,Access key ID,Secret access key,Console login link\n"
            + "\"ann, bob\",\"p\"\"w\",AKIDX,sec+ret/1=,https://x.signin.aws.amazon.com/console\n",
        "User Name, Access Key Id, Secret Access Key\n\nann, AKIDX , sec+ret/1= \n\n",
    ])
    func csv(text: String) throws {
        let scratch = Scratch()
        #expect(try ask(CSVCredentials(path: scratch.write("k.csv", text))).get() == key)
    }

    @Test(arguments: [
        "", "Access key ID,Secret access key\n", "AKIDX,sec+ret/1=\n",
        "Access key ID,Secret access key\nAKIDX\n", "Access key ID,Secret access key\nAKIDX,\n",
        "Access key ID,Secret access key\nA,s\nB,t\n",
    ])
    func brokenCSV(text: String) {
        let scratch = Scratch()
        guard case .failure(let error) = ask(CSVCredentials(path: scratch.write("k.csv", text)))
        else {
            Issue.record("accepted")
            return
        }
        #expect(error.kind == .unusable)
        #expect(!error.message.contains("sec+ret") && error.message.contains("k.csv"))
        #expect(kind(CSVCredentials(path: "/nonexistent/k.csv")) == .unusable)
        #expect(kind(CSVCredentials(path: scratch.path)) == .unusable)
    }

    @Test(arguments: [0o640, 0o604, 0o644, 0o660] as [mode_t])
    func csvThatOthersMayRead(mode: mode_t) {
        let scratch = Scratch()
        let path = scratch.write("k.csv", "Access key ID,Secret access key\nAKIDX,s\n", mode: mode)
        guard case .failure(let error) = ask(CSVCredentials(path: path)) else {
            Issue.record("accepted")
            return
        }
        #expect(error.message.contains("chmod 600"))
    }

    @Test func theChainAsksInOrderAndStopsAtTheBroken() throws {
        let scratch = Scratch()
        let none = SharedFileCredentials(files(scratch, nil, nil))
        #expect(try ask(CredentialsChain([none, StaticCredentials(key)])).get() == key)
        let broken = EnvironmentCredentials(["AWS_ACCESS_KEY_ID": "a"])
        #expect(kind(CredentialsChain([broken, StaticCredentials(key)])) == .unusable)
        guard case .failure(let error) = ask(CredentialsChain([EnvironmentCredentials([:]), none]))
        else {
            Issue.record("found")
            return
        }
        #expect(error.kind == .notFound)
        #expect(error.message.contains("AWS_ACCESS_KEY_ID") && error.message.contains("none2"))
    }
}

/// Gives a new key each time, after `delay`.
private final class Counting: CredentialsProvider, Sendable {
    let place = "counting"
    let clock: FakeClock
    let asked = Mutex(0)
    let lifetime: Duration?

    init(_ clock: FakeClock, lifetime: Duration? = nil) {
        self.clock = clock
        self.lifetime = lifetime
    }

    func credentials(
        completion: @escaping @Sendable (Result<Credentials, CredentialsError>) -> Void
    ) {
        let number = asked.withLock { asked in
            asked += 1
            return asked
        }
        let expiration = lifetime.map { clock.unixTime + $0 }
        _ = clock.after(.seconds(1)) {
            completion(
                .success(
                    Credentials(
                        accessKeyID: "K\(number)", secretAccessKey: "s", sessionToken: "t",
                        expiration: expiration)))
        }
    }
}

struct ExpiryTests {
    @Test func manyCallsFetchOnce() throws {
        let clock = FakeClock()
        let provider = Counting(clock)
        let bench = try Bench(credentials: provider, clock: clock) { _, _ in FakeAnswer(status: 404)
        }
        let answers = Answers<ObjectHead>()
        for _ in 0..<20 {
            bench.client.head(ObjectKey("k")) { result in
                answers.list.withLock { $0.append(result) }
            }
        }
        clock.runAll()
        #expect(answers.list.withLock { $0.count } == 20)
        #expect(provider.asked.withLock { $0 } == 1)
    }

    @Test func anExpiredTokenIsRefreshedOnce() throws {
        let clock = FakeClock()
        let provider = Counting(clock)
        let bench = try Bench(credentials: provider, clock: clock) { request, _ in
            request.header("authorization")!.contains("K2/")
                ? FakeAnswer(status: 404) : .error(400, "ExpiredToken")
        }
        #expect(bench.get(GetRequest(key: ObjectKey("k"))).results.map(\.kind) == [.notFound])
        #expect(provider.asked.withLock { $0 } == 2)
        let hopeless = try Bench(credentials: provider, clock: clock) { _, _ in
            .error(400, "ExpiredToken")
        }
        #expect(try hopeless.list().kind == .badCredentials)
        #expect(hopeless.server.requests.count == 2)
    }

    @Test func refreshesBeforeTheEnd() throws {
        let clock = FakeClock()
        let provider = Counting(clock, lifetime: .seconds(3600))
        let bench = try Bench(credentials: provider, clock: clock) { _, _ in FakeAnswer(status: 404)
        }
        _ = try bench.head("k")
        _ = clock.after(.seconds(3400)) {}
        clock.runAll()
        _ = try bench.head("k")
        #expect(bench.server.requests[1].header("authorization")!.contains("K1/"))
        _ = try bench.head("k")
        #expect(bench.server.requests[2].header("authorization")!.contains("K2/"))
        _ = clock.after(.seconds(4000)) {}
        clock.runAll()
        _ = try bench.head("k")
        #expect(bench.server.requests[3].header("authorization")!.contains("K3/"))
    }
}
