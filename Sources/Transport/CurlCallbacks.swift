// The functions libcurl calls, always on the thread of the loop that owns the handle.
// They are plain functions: a closure written elsewhere may inherit an actor and trap here.

import CCurl
import Glibc

private func transfer(_ context: UnsafeMutableRawPointer?) -> CurlTransfer? {
    guard let context = unsafe context else { return nil }
    return unsafe Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
}

/// CURLOPT_WRITEFUNCTION: anything but the whole count ends the transfer.
func curlReceivedBody(
    _ data: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int,
    _ context: UnsafeMutableRawPointer?
) -> Int {
    let bytes = unsafe UnsafeRawBufferPointer(start: data, count: size * count)
    guard let transfer = unsafe transfer(context) else { return -1 }
    return unsafe transfer.received(body: bytes) ? size * count : -1
}

/// CURLOPT_HEADERFUNCTION: one whole line per call, with its line end.
func curlReceivedHeader(
    _ data: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int,
    _ context: UnsafeMutableRawPointer?
) -> Int {
    let bytes = unsafe UnsafeRawBufferPointer(start: data, count: size * count)
    guard let transfer = unsafe transfer(context) else { return -1 }
    return unsafe transfer.received(headerLine: bytes) ? size * count : -1
}

/// CURLOPT_READFUNCTION: the next bytes of the request's body.
func curlSend(
    _ data: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int,
    _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let transfer = unsafe transfer(context) else { return Int(CURL_READFUNC_ABORT) }
    let space = unsafe UnsafeMutableRawBufferPointer(start: data, count: size * count)
    return unsafe transfer.send(into: space) ?? Int(CURL_READFUNC_ABORT)
}

/// CURLOPT_SEEKFUNCTION: libcurl rewinds the body before it sends it again.
func curlSeek(_ context: UnsafeMutableRawPointer?, _ offset: curl_off_t, _ origin: Int32) -> Int32 {
    guard let transfer = unsafe transfer(context), origin == SEEK_SET,
        transfer.seek(to: Int64(offset))
    else { return Int32(CURL_SEEKFUNC_FAIL) }
    return Int32(CURL_SEEKFUNC_OK)
}

/// CURLOPT_DEBUGFUNCTION: talk and headers; bodies and TLS records are left out.
func curlDebug(
    _ easy: UnsafeMutableRawPointer?, _ type: curl_infotype, _ data: UnsafeMutablePointer<CChar>?,
    _ size: Int, _ context: UnsafeMutableRawPointer?
) -> Int32 {
    guard let context = unsafe context else { return 0 }
    let lines = unsafe Unmanaged<DebugLines>.fromOpaque(context).takeUnretainedValue()
    let bytes = unsafe UnsafeRawBufferPointer(start: data, count: size)
    switch type {
    case CURLINFO_TEXT: unsafe lines.take(.talk, bytes)
    case CURLINFO_HEADER_IN: unsafe lines.take(.received, bytes)
    case CURLINFO_HEADER_OUT: unsafe lines.take(.sent, bytes)
    default: break
    }
    return 0
}
