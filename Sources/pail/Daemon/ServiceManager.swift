// sd_notify(3) without libsystemd: datagrams to the socket that NOTIFY_SOCKET names.
// Source: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html

import Glibc

/// Tells systemd (or whoever set NOTIFY_SOCKET) how the service does. Failures are silent: a service
/// must not depend on being watched.
enum ServiceManager {
    /// Sends lines such as `READY=1`. Does nothing when nobody asked to be told.
    ///
    /// - Parameter address: a path, or `@NAME` for an abstract socket.
    static func notify(_ lines: [String], address: String?) {
        guard let address, address.hasPrefix("/") || address.hasPrefix("@") else { return }
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        var path = Array(address.utf8)
        if path[0] == UInt8(ascii: "@") { path[0] = 0 }
        guard path.count < MemoryLayout.size(ofValue: name.sun_path) else { return }
        unsafe withUnsafeMutableBytes(of: &name.sun_path) { unsafe $0.copyBytes(from: path) }
        // An abstract name ends where the address ends; a path may as well.
        let family = MemoryLayout<sa_family_t>.size
        let length = socklen_t(family + path.count)
        let descriptor = socket(
            AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let message = Array(lines.joined(separator: "\n").utf8)
        _ = unsafe withUnsafePointer(to: &name) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe sendto(
                    descriptor, message, message.count, Int32(MSG_NOSIGNAL), $0, length)
            }
        }
    }
}
