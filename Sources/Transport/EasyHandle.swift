// A curl easy handle: the options every request shares, set once, and those of one request.
//
// A handle is used for one request after another, which keeps its receive buffer. Lives on its
// loop's thread. TLS peers are always verified; there is no option against it.

import CCurl
import Glibc

@safe final class EasyHandle {
    /// Names a handle by its address.
    @safe struct ID: Hashable {
        private let address: UInt
        init(_ pointer: UnsafeMutableRawPointer) { address = UInt(bitPattern: pointer) }
    }

    let pointer: UnsafeMutableRawPointer
    let isLarge: Bool
    private let errorBuffer: UnsafeMutablePointer<CChar>
    private var headers: UnsafeMutablePointer<curl_slist>?
    private let debug: DebugLines?
    private let stallTime: Duration

    /// Bytes read from a socket at once: for bodies of some MiB, and for small answers.
    private static let largeBuffer = 256 << 10
    private static let smallBuffer = 32 << 10
    /// Bytes of a large body that are read and written to a socket at once. 64 KiB to 2 MiB cost the
    /// same processor time over loopback, so it is memory that decides.
    private static let uploadBuffer = 256 << 10

    var id: ID { unsafe ID(pointer) }

    /// Nil when libcurl has no memory.
    init?(configuration: TransportConfiguration, isLarge: Bool) {
        guard let pointer = unsafe curl_easy_init() else { return nil }
        unsafe self.pointer = unsafe pointer
        self.isLarge = isLarge
        unsafe errorBuffer = .allocate(capacity: Int(CURL_ERROR_SIZE))
        unsafe errorBuffer.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        unsafe headers = nil
        stallTime = configuration.stallTime
        debug = configuration.debug.map { DebugLines(sink: $0) }
        setShared(configuration)
        setCallbacks()
    }

    deinit {
        unsafe curl_easy_cleanup(pointer)
        unsafe curl_slist_free_all(headers)
        unsafe errorBuffer.deallocate()
    }

    /// What libcurl says about the last failure; may be empty.
    var errorText: String { unsafe String(cString: errorBuffer) }

    /// Connections made for the last request.
    var newConnections: Int { info(CURLINFO_NUM_CONNECTS) }

    /// errno of the last failed connect.
    var systemError: Int32 { Int32(truncatingIfNeeded: info(CURLINFO_OS_ERRNO)) }

    private func info(_ key: CURLINFO) -> Int {
        var value = 0
        unsafe _ = pail_curl_get_long(pointer, key, &value)
        return value
    }

    /// Sets the options of one request. `transfer` must live until `release`.
    ///
    /// - Parameter timeoutMilliseconds: 0 for none.
    func prepare(for transfer: CurlTransfer, timeoutMilliseconds: Int) -> HTTPTransportError? {
        let request = transfer.request
        if let error = RequestCheck.error(in: request) { return error }
        unsafe errorBuffer[0] = 0
        debug?.begin()
        let context = unsafe Unmanaged.passUnretained(transfer).toOpaque()
        unsafe set(CURLOPT_WRITEDATA, context)
        unsafe set(CURLOPT_HEADERDATA, context)
        unsafe set(CURLOPT_READDATA, context)
        unsafe set(CURLOPT_SEEKDATA, context)
        set(CURLOPT_URL, request.url)
        set(CURLOPT_TIMEOUT_MS, timeoutMilliseconds)
        // Metadata services of the machine itself are never behind a proxy.
        set(CURLOPT_PROXY, RequestCheck.isLinkLocal(request.url) ? "" : nil)
        setMethod(request)
        setStallTime(stallTime)
        if request.source == nil { waitForAnswer(of: request) }
        return setHeaders(request)
    }

    /// The server has the whole request: from here on it may take the request's `answerTime`.
    func waitForAnswer(of request: HTTPRequest) {
        if let time = request.answerTime, time > stallTime { setStallTime(time) }
    }

    private func setStallTime(_ time: Duration) {
        set(CURLOPT_LOW_SPEED_TIME, max(1, time.milliseconds / 1000))
    }

    /// Frees what the request needed, and forgets its transfer.
    func release() {
        for option in [
            CURLOPT_WRITEDATA, CURLOPT_HEADERDATA, CURLOPT_READDATA, CURLOPT_SEEKDATA,
            CURLOPT_HTTPHEADER,
        ] {
            unsafe set(option, nil as UnsafeMutableRawPointer?)
        }
        unsafe curl_slist_free_all(headers)
        unsafe headers = nil
    }

    private func setMethod(_ request: HTTPRequest) {
        set(CURLOPT_HTTPGET, 1)
        set(CURLOPT_CUSTOMREQUEST, nil as String?)
        switch request.method {
        case "GET" where request.bodySize == nil:
            break
        case "HEAD":
            set(CURLOPT_NOBODY, 1)
        default:
            set(CURLOPT_CUSTOMREQUEST, request.method)
            // A PUT or POST without a body still says Content-Length: 0.
            guard request.bodySize != nil || ["PUT", "POST"].contains(request.method) else { break }
            set(CURLOPT_UPLOAD, 1)
            unsafe _ = pail_curl_set_offset(
                pointer, CURLOPT_INFILESIZE_LARGE, curl_off_t(request.bodySize ?? 0))
        }
    }

    private func setHeaders(_ request: HTTPRequest) -> HTTPTransportError? {
        // Headers libcurl would add by itself.
        var lines = ["Accept:", "Expect:"]
        for (name, value) in request.headers where name.lowercased() != "content-length" {
            lines.append(value.isEmpty ? name + ";" : name + ": " + value)
        }
        for line in lines {
            guard let longer = unsafe curl_slist_append(headers, line) else {
                return HTTPTransportError(kind: .other, message: "libcurl is out of memory")
            }
            unsafe headers = unsafe longer
        }
        unsafe set(CURLOPT_HTTPHEADER, UnsafeMutableRawPointer(headers))
        return nil
    }

    private func setShared(_ configuration: TransportConfiguration) {
        unsafe set(CURLOPT_ERRORBUFFER, UnsafeMutableRawPointer(errorBuffer))
        set(CURLOPT_NOSIGNAL, 1)
        unsafe _ = pail_curl_limit_protocols(pointer)
        set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        set(CURLOPT_FOLLOWLOCATION, 0)
        set(CURLOPT_PATH_AS_IS, 1)
        set(CURLOPT_HTTP_CONTENT_DECODING, 0)
        set(CURLOPT_NETRC, Int(CURL_NETRC_IGNORED.rawValue))
        set(CURLOPT_USERAGENT, configuration.userAgent)
        set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
        set(CURLOPT_NOPROGRESS, 1)

        set(CURLOPT_TCP_NODELAY, 1)
        set(CURLOPT_TCP_KEEPALIVE, 1)
        set(CURLOPT_TCP_KEEPIDLE, 30)
        set(CURLOPT_TCP_KEEPINTVL, 15)
        set(CURLOPT_DNS_CACHE_TIMEOUT, 60)
        set(CURLOPT_BUFFERSIZE, isLarge ? Self.largeBuffer : Self.smallBuffer)
        if isLarge { set(CURLOPT_UPLOAD_BUFFERSIZE, Self.uploadBuffer) }

        set(CURLOPT_CONNECTTIMEOUT_MS, max(1, configuration.connectTimeout.milliseconds))
        set(CURLOPT_LOW_SPEED_LIMIT, configuration.stallRate)

        set(CURLOPT_SSL_VERIFYPEER, 1)
        set(CURLOPT_SSL_VERIFYHOST, 2)
        set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
        if let caBundle = configuration.caBundle { set(CURLOPT_CAINFO, caBundle) }
    }

    private func setCallbacks() {
        unsafe _ = pail_curl_set_data_function(pointer, CURLOPT_WRITEFUNCTION, curlReceivedBody)
        unsafe _ = pail_curl_set_data_function(pointer, CURLOPT_HEADERFUNCTION, curlReceivedHeader)
        unsafe _ = pail_curl_set_data_function(pointer, CURLOPT_READFUNCTION, curlSend)
        unsafe _ = pail_curl_set_seek_function(pointer, curlSeek)
        guard let debug else { return }
        unsafe _ = pail_curl_set_debug_function(pointer, curlDebug)
        unsafe set(CURLOPT_DEBUGDATA, Unmanaged.passUnretained(debug).toOpaque())
        set(CURLOPT_VERBOSE, 1)
    }

    private func set(_ option: CURLoption, _ value: Int) {
        unsafe _ = pail_curl_set_long(pointer, option, value)
    }

    private func set(_ option: CURLoption, _ value: String?) {
        unsafe _ = pail_curl_set_string(pointer, option, value)
    }

    private func set(_ option: CURLoption, _ value: UnsafeMutableRawPointer?) {
        unsafe _ = pail_curl_set_pointer(pointer, option, value)
    }
}
