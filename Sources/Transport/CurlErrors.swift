// libcurl's result codes as causes the rooms above decide by.
// Source: https://curl.se/libcurl/c/libcurl-errors.html

import CCurl
import Glibc

extension HTTPTransportError {
    /// The request was given up by its caller or by the end of the transport.
    static let cancelled = HTTPTransportError(
        kind: .cancelled, message: "the request was cancelled")

    /// - Parameters:
    ///   - text: libcurl's error buffer; its general text for the code when empty.
    ///   - systemError: errno of the connect or TLS failure, 0 when unknown.
    ///   - isPastDeadline: tells the request's own timeout from the other time limits.
    init(code: CURLcode, text: String, systemError: Int32, isPastDeadline: Bool) {
        var message = text
        if message.isEmpty, let general = unsafe curl_easy_strerror(code) {
            message = unsafe String(cString: general)
        }
        message = Redaction.withoutQueries(message)
        self.init(
            kind: Self.kind(
                of: code, text: text, systemError: systemError, isPastDeadline: isPastDeadline),
            message: message)
    }

    private static func kind(
        of code: CURLcode, text: String, systemError: Int32, isPastDeadline: Bool
    ) -> Kind {
        switch code {
        case CURLE_URL_MALFORMAT:
            return .badURL
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY:
            return .nameNotResolved
        case CURLE_COULDNT_CONNECT, CURLE_INTERFACE_FAILED, CURLE_PROXY:
            return .connectFailed
        case CURLE_OPERATION_TIMEDOUT:
            if text.hasPrefix("Operation too slow") { return .stalled }
            return isPastDeadline ? .timedOut : .connectFailed
        case CURLE_PARTIAL_FILE:
            return .bodyTooShort
        case CURLE_GOT_NOTHING, CURLE_RECV_ERROR, CURLE_SEND_ERROR, CURLE_SEND_FAIL_REWIND:
            return .connectionLost
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR,
            CURLE_SSL_INVALIDCERTSTATUS:
            return .certificate
        case CURLE_SSL_CONNECT_ERROR:
            // A connection that breaks during the handshake says nothing about TLS.
            let isBroken =
                [ECONNRESET, EPIPE, ETIMEDOUT].contains(systemError)
                || text.contains("SSL_ERROR_SYSCALL") || text.contains("Connection reset")
            return isBroken ? .connectionLost : .tls
        case CURLE_SSL_CIPHER, CURLE_SSL_CERTPROBLEM, CURLE_SSL_ENGINE_NOTFOUND,
            CURLE_SSL_ENGINE_SETFAILED, CURLE_SSL_ENGINE_INITFAILED, CURLE_SSL_SHUTDOWN_FAILED,
            CURLE_SSL_CRL_BADFILE, CURLE_USE_SSL_FAILED:
            return .tls
        default:
            return .other
        }
    }
}
