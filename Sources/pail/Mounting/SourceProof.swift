// Proves that the source works, before anything is mounted.

import Glibc
import Logging
import S3
import Scheduling
import Synchronization
import Transport

/// Credentials and bucket, checked.
struct SourceProof {
    /// The source with the region it turned out to be in.
    var source: S3Source
    /// What the user should know, one line each.
    var warnings: [String]

    /// The check's own limits: somebody waits at the terminal, or the boot does.
    private static let deadline = Duration.seconds(20)
    private static let retry = RetryPolicy(maxAttempts: 5)

    /// Asks for the credentials and the bucket. Waits for the network.
    static func run(
        _ configuration: MountConfiguration, source: S3Source,
        credentials: any CredentialsProvider, transport: any HTTPTransport,
        scheduler: any Scheduler, logger: Logger
    ) throws(CommandFailure) -> SourceProof {
        try check(credentials)
        let client = try Self.client(
            S3ClientConfiguration(
                source: source, operationDeadline: deadline, progressDeadline: deadline,
                retry: retry, logger: logger),
            credentials, transport, scheduler)
        let check = SourceCheck(client, prefix: configuration.source.rootPrefix)
        let result = Waiter<Result<SourceCheck.Report, SourceCheck.Problem>>()
        Task {
            do throws(SourceCheck.Problem) {
                result.answer(.success(try await check.run()))
            } catch {
                result.answer(.failure(error))
            }
        }
        switch result.wait() {
        case .success(let report):
            var found = source
            found.region = report.region
            return SourceProof(source: found, warnings: warnings(report, configuration))
        case .failure(let problem):
            throw CommandFailure(Escaping.line(problem.description), status(problem.kind))
        }
    }

    /// A client; its complaint about the source is wrong usage.
    static func client(
        _ configuration: S3ClientConfiguration, _ credentials: any CredentialsProvider,
        _ transport: any HTTPTransport, _ scheduler: any Scheduler
    ) throws(CommandFailure) -> S3Client {
        do {
            return try S3Client(
                configuration: configuration, credentials: credentials, transport: transport,
                scheduler: scheduler)
        } catch {
            throw CommandFailure(Escaping.line(error.message), .usage)
        }
    }

    /// Broken files and missing keys are told apart from keys that the server refuses.
    private static func check(_ credentials: any CredentialsProvider) throws(CommandFailure) {
        let result = Waiter<Result<Credentials, CredentialsError>>()
        credentials.credentials { result.answer($0) }
        guard case .failure(let error) = result.wait() else { return }
        throw CommandFailure(
            Escaping.line(error.message),
            error.kind == .notFound ? .noPermission : .configuration)
    }

    private static func warnings(
        _ report: SourceCheck.Report, _ configuration: MountConfiguration
    ) -> [String] {
        var lines: [String] = []
        if let given = report.correctedRegion {
            lines.append(
                "the bucket is in region \(report.region), not \(given); "
                    + "write --region \(report.region) to save a request")
        }
        if let minutes = report.clockOffsetMinutes {
            lines.append(
                "this machine's clock is \(abs(minutes)) minutes \(minutes > 0 ? "slow" : "fast"); "
                    + "set it, for example with timedatectl set-ntp true")
        }
        if report.isEmpty, !configuration.source.rootPrefix.isEmpty {
            let prefix = String(decoding: configuration.source.rootPrefix, as: UTF8.self)
            lines.append("no key begins with '\(Escaping.line(prefix))' yet; is the path right?")
        }
        return lines
    }

    private static func status(_ kind: SourceCheck.Problem.Kind) -> ExitStatus {
        switch kind {
        case .noSuchBucket: .noInput
        case .wrongKeyID, .wrongSecret, .expiredToken, .noCredentials, .cannotList: .noPermission
        case .wrongRegion, .clockSkew: .configuration
        case .unreachable, .tls, .other: .unavailable
        }
    }
}

/// Lets a thread of ours (never one of Swift's pool) wait for one answer.
final class Waiter<Answer: Sendable>: Sendable {
    private let state = Mutex<Answer?>(nil)
    private let semaphore = Semaphore()

    func answer(_ answer: Answer) {
        state.withLock { $0 = answer }
        semaphore.post()
    }

    func wait() -> Answer {
        semaphore.wait()
        return state.withLock { $0! }
    }
}

/// sem_init(3)
@safe final class Semaphore: @unchecked Sendable {
    private let pointer: UnsafeMutablePointer<sem_t>

    init() {
        unsafe pointer = .allocate(capacity: 1)
        unsafe sem_init(pointer, 0, 0)
    }

    deinit {
        unsafe sem_destroy(pointer)
        unsafe pointer.deallocate()
    }

    func post() { unsafe sem_post(pointer) }

    func wait() { while unsafe sem_wait(pointer) != 0, errno == EINTR {} }
}
