// The small answers: Error and LocationConstraint.

/// The `Error` document.
/// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
final class ErrorDocument: XMLElements {
    private(set) var isError = false
    private(set) var code: String?
    private(set) var message: String?
    private(set) var region: String?
    private(set) var endpoint: String?
    private(set) var requestID: String?
    private(set) var serverTime: String?

    func begin(_ name: XMLName, depth: Int) {
        if depth == 1 { isError = name == "Error" }
    }

    func end(_ name: XMLName, depth: Int, text: [UInt8]) {
        guard isError, depth == 2, !text.isEmpty else { return }
        let value = String(decoding: text, as: UTF8.self)
        if name == "Code" {
            code = value
        } else if name == "Message" {
            message = value
        } else if name == "Region" {
            region = value
        } else if name == "Endpoint" {
            endpoint = value
        } else if name == "RequestId" {
            requestID = value
        } else if name == "ServerTime" {
            serverTime = value
        }
    }
}

/// The answer of GetBucketLocation.
/// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
final class LocationDocument: AnswerDocument {
    private(set) var isExpected = false
    let failure = ErrorDocument()
    /// Empty for us-east-1.
    private(set) var constraint = ""

    func begin(_ name: XMLName, depth: Int) {
        if depth == 1 { isExpected = name == "LocationConstraint" }
        failure.begin(name, depth: depth)
    }

    func end(_ name: XMLName, depth: Int, text: [UInt8]) {
        failure.end(name, depth: depth, text: text)
        // Some servers put the element into another one of the same name.
        guard isExpected, name == "LocationConstraint", !text.isEmpty else { return }
        constraint = String(decoding: text, as: UTF8.self)
    }
}
