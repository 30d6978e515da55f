// Operations that are answered by headers and, perhaps, a small XML document. Each attempt begins from
// nothing. What differs between operations is two closures: the request, and what the answer means.
//
// The class is used from one thread at a time (see Exchange), hence @unchecked.

internal import Transport

/// A document that answers an operation. An `Error` document under status 200 is kept as `failure`: S3
/// does so when it fails after the headers.
protocol AnswerDocument: XMLElements {
    init()
    /// True once the root was seen to be the one that answers the operation.
    var isExpected: Bool { get }
    var failure: ErrorDocument { get }
}

/// What a successful answer is read from.
struct Answer<Document: AnswerDocument> {
    var head: HTTPResponseHead
    var context: ResponseContext
    /// The whole document; an empty one when the operation has none.
    var document: Document
}

/// An operation that is answered by an `Answer`.
final class AnswerExchange<Document: AnswerDocument, Output: Sendable>: Exchange,
    @unchecked Sendable
{
    typealias Reading = @Sendable (Answer<Document>) -> Result<Output, AttemptFailure>

    let operation: String
    private let sizeLimit: Int?
    private let request: @Sendable () -> RequestSpec
    private let reading: Reading
    private let onLoss: (@Sendable () -> Void)?
    private let completion: @Sendable (Result<Output, StoreError>) -> Void
    private var document = Document()
    private var reader: XMLReader?
    private var head: HTTPResponseHead?
    private var context: ResponseContext?
    private var output: Output?

    /// - Parameters:
    ///   - sizeLimit: bytes that the document may have; nil when there is none (what comes all the
    ///     same is not looked at).
    ///   - onLoss: an attempt failed so that nobody knows whether it took effect; another follows.
    init(
        _ operation: String, sizeLimit: Int?, request: @escaping @Sendable () -> RequestSpec,
        reading: @escaping Reading, onLoss: (@Sendable () -> Void)? = nil,
        completion: @escaping @Sendable (Result<Output, StoreError>) -> Void
    ) {
        self.operation = operation
        self.sizeLimit = sizeLimit
        self.request = request
        self.reading = reading
        self.onLoss = onLoss
        self.completion = completion
    }

    var isComplete: Bool { sizeLimit == nil && head != nil }

    func spec() -> RequestSpec { request() }

    func begin(_ head: HTTPResponseHead, _ context: ResponseContext) -> AttemptFailure? {
        document = Document()
        reader = sizeLimit.map { XMLReader(document, sizeLimit: $0) }
        self.head = head
        self.context = context
        return nil
    }

    func take(_ bytes: UnsafeRawBufferPointer) -> Taken {
        guard let reader else { return .enough }
        do throws(XMLProblem) {
            try unsafe reader.parse(bytes)
            return .more
        } catch {
            return .failed(context!.malformed(error.message))
        }
    }

    func end() -> AttemptFailure? {
        guard let context, let head else { return nil }
        if let reader {
            self.reader = nil
            do throws(XMLProblem) {
                try reader.finish()
            } catch {
                return context.malformed(error.message)
            }
            if let failure = document.failure.asServerError(context) {
                return AttemptFailure(failure, operation: operation, isBucket: true)
            }
            guard document.isExpected else {
                return context.malformed("the answer is no answer to \(operation)")
            }
        }
        self.head = nil
        switch reading(Answer(head: head, context: context, document: document)) {
        case .success(let output):
            self.output = output
            return nil
        case .failure(let failure): return failure
        }
    }

    func lost() { onLoss?() }

    func finish(_ result: Result<Void, StoreError>) {
        completion(result.map { output! })
    }
}

extension ErrorDocument {
    /// What an `Error` document under status 200 says.
    func asServerError(_ context: ResponseContext) -> ServerError? {
        guard isError else { return nil }
        return ServerError(
            status: context.status, code: code ?? "InternalError", message: message,
            region: region, endpoint: endpoint, requestID: context.requestID ?? requestID)
    }
}

/// For operations whose answer is headers alone.
final class NoDocument: AnswerDocument {
    var isExpected: Bool { true }
    let failure = ErrorDocument()
    func begin(_ name: XMLName, depth: Int) {}
    func end(_ name: XMLName, depth: Int, text: [UInt8]) {}
}
