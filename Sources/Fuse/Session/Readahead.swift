// Larger readahead.
//
// The kernel's mount starts with 128 KiB and INIT can only lower it. Root may raise it through the
// backing device's sysfs file, once INIT is done in the kernel; requests then grow from 128 KiB to
// 1 MiB and buffered sequential reading by more than half. Without permission: go on silently.

internal import Glibc

/// Raises the readahead of one mount.
enum Readahead {
    /// - Parameters:
    ///   - device: `MAJOR:MINOR` as in /proc/self/mountinfo.
    ///   - kibibytes: the new value.
    /// - Returns: false when not permitted.
    @discardableResult
    static func raise(device: String, kibibytes: Int) -> Bool {
        let file = unsafe open("/sys/class/bdi/\(device)/read_ahead_kb", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return false }
        defer { close(file) }
        let text = Array("\(kibibytes)".utf8)
        return unsafe text.withUnsafeBytes {
            unsafe write(file, $0.baseAddress, $0.count) == $0.count
        }
    }
}
