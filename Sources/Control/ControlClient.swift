// The command line's side of the control socket. Blocks, with a time limit for each answer.

import CPlatform
import Foundation
import Glibc

/// A connection to the daemon of one mount, for one request.
public struct ControlClient: ~Copyable {
    private let socket: Int32
    private let mountpoint: String
    private var input: [UInt8] = []

    /// Connects to the daemon of a mountpoint.
    ///
    /// - Parameters:
    ///   - directories: where its socket may be, the likeliest first.
    ///   - owner: who mounted it.
    ///   - patience: how long to wait for each answer, in seconds.
    public init(
        directories: [String], mountpoint: String, owner: UInt32, patience: Int = 60
    ) throws(ControlError) {
        var problem = ControlError(.absent, "no daemon listens for \(mountpoint)")
        for directory in directories {
            do throws(ControlError) {
                let folder = try ControlFolder(directory, owner: owner, makes: false)
                socket = try folder.connect(mountpoint)
                self.mountpoint = mountpoint
                var limit = timeval(tv_sec: patience, tv_usec: 0)
                for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
                    unsafe setsockopt(
                        socket, SOL_SOCKET, option, &limit,
                        socklen_t(MemoryLayout<timeval>.size))
                }
                return
            } catch {
                if error.kind != .absent || problem.kind == .absent { problem = error }
            }
        }
        throw problem
    }

    deinit { close(socket) }

    /// Asks; the answers are to be taken with `next`.
    public func send(_ request: ControlRequest) throws(ControlError) {
        var line: [UInt8]
        do { line = Array(try JSONEncoder().encode(request)) } catch {
            throw ControlError(.other, "the request cannot be written")
        }
        guard line.count <= ControlRequest.mostBytes else {
            throw ControlError(.other, "the request is too long")
        }
        line.append(0x0A)
        var rest = line[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes {
                unsafe Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw silent }
            rest.removeFirst(count)
        }
    }

    /// The next answer.
    public mutating func next() throws(ControlError) -> ControlAnswer {
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            if let end = input.firstIndex(of: 0x0A) {
                let line = Data(input[..<end])
                input.removeSubrange(...end)
                do { return try JSONDecoder().decode(ControlAnswer.self, from: line) } catch {
                    throw ControlError(.silent, "the daemon of \(mountpoint) answers nonsense")
                }
            }
            guard input.count <= ControlAnswer.mostBytes else {
                throw ControlError(.silent, "the daemon of \(mountpoint) does not stop answering")
            }
            let count = unsafe read(socket, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            if count == 0 || count < 0 && errno != EAGAIN {
                throw ControlError(.absent, "the daemon of \(mountpoint) is gone")
            }
            guard count > 0 else { throw silent }
            input += chunk[..<count]
        }
    }

    private var silent: ControlError {
        ControlError(.silent, "the daemon of \(mountpoint) does not answer")
    }
}
