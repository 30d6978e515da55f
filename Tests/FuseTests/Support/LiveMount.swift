// A mount for one test: made in a temporary directory, served on a thread, taken away at the end
// whatever happened. Accesses go through child processes with a time limit: a test process that waited
// for its own mount could wait for ever.

import Foundation
import Fuse
import Logging
import Operations
import Synchronization
import Testing

final class LiveMount: Sendable {
    let path: String
    let session: FuseSession
    private let reason = Mutex<FuseSession.ExitReason?>(nil)
    private let ended = DispatchSemaphore(value: 0)

    init(
        _ fileSystem: any FileOperations, name: String = "mount", readOnly: Bool = true,
        allowOther: Bool = false, threads: Int = 16,
        extra: [String] = [], readAheadKiB: Int = 1024
    ) throws {
        let root = ProcessInfo.processInfo.environment["PAIL_TEST_ROOT"] ?? NSTemporaryDirectory()
        let directory = URL(fileURLWithPath: root).appendingPathComponent(
            "fuse-\(UUID().uuidString.prefix(8))/\(name)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        path = directory.path
        session = try FuseSession(
            options: MountOptions(
                mountpoint: path, source: "bucket:/a,b c\\d", readOnly: readOnly,
                allowOther: allowOther, maxThreads: threads, readAheadKiB: readAheadKiB,
                extra: extra),
            logger: Logger(label: "test"))
        try session.mount()
        let serving = DispatchSemaphore(value: 0)
        Thread.detachNewThread { [self] in
            let result = try? session.run(fileSystem) { serving.signal() }
            reason.withLock { $0 = result }
            ended.signal()
        }
        guard serving.wait(timeout: .now() + 10) == .success else {
            Self.clear(path)
            throw Failure("the mount does not answer")
        }
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    /// Why `run` came back; nil if it does not within `seconds`.
    func waitForEnd(_ seconds: Double = 10) -> FuseSession.ExitReason? {
        guard ended.wait(timeout: .now() + seconds) == .success else { return nil }
        ended.signal()
        return reason.withLock { $0 }
    }

    /// Ends it and checks that nothing is left.
    @discardableResult
    func end(_ location: SourceLocation = #_sourceLocation) -> FuseSession.ExitReason? {
        session.requestExit()
        let reason = waitForEnd()
        if reason == nil { Self.clear(path) }
        #expect(reason != nil, "the loop did not end", sourceLocation: location)
        session.unmount()
        #expect(MountTable.current().entry(at: path) == nil, sourceLocation: location)
        Self.clear(path)
        rmdir(path)
        rmdir((path as NSString).deletingLastPathComponent)
        return reason
    }

    private static func clear(_ path: String) {
        if MountTable.current().entry(at: path) != nil { run("umount", "-l", path) }
    }
}

/// What a child process said.
struct Output: Sendable {
    var status: Int32
    var out: Data
    var err: String
    var text: String { String(decoding: out, as: UTF8.self) }
}

/// A child process with a time limit (status -1 when it is over).
final class Child: @unchecked Sendable {
    let process = Process()
    private let out = Mutex(Data())
    private let err = Mutex(Data())
    private let done = DispatchGroup()

    init(_ arguments: [String], input: Pipe? = nil) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        let outPipe = Pipe()
        let errPipe = Pipe()
        process.standardOutput = outPipe
        process.standardError = errPipe
        process.standardInput = input ?? FileHandle.nullDevice
        done.enter()
        process.terminationHandler = { [done] _ in done.leave() }
        // Threads of the pool block signals, and a child inherits that.
        var none = sigset_t()
        var old = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &old)
        defer { pthread_sigmask(SIG_SETMASK, &old, nil) }
        try process.run()
        for (pipe, isOut) in [(outPipe, true), (errPipe, false)] {
            done.enter()
            Thread.detachNewThread { [self] in
                let data = pipe.fileHandleForReading.readDataToEndOfFile()
                if isOut { out.withLock { $0 = data } } else { err.withLock { $0 = data } }
                done.leave()
            }
        }
    }

    func wait(_ seconds: Double = 20) -> Output {
        if done.wait(timeout: .now() + seconds) != .success {
            process.interrupt()
            kill(process.processIdentifier, SIGKILL)
            return Output(status: -1, out: Data(), err: "time limit")
        }
        return Output(
            status: process.terminationStatus, out: out.withLock { $0 },
            err: String(decoding: err.withLock { $0 }, as: UTF8.self))
    }
}

@discardableResult
func run(_ arguments: String..., seconds: Double = 20) -> Output {
    guard let child = try? Child(arguments) else {
        return Output(status: -2, out: Data(), err: "cannot start")
    }
    return child.wait(seconds)
}

/// Waits until `condition` holds; false after `seconds`.
func eventually(_ seconds: Double = 10, _ condition: () -> Bool) -> Bool {
    let end = Date().addingTimeInterval(seconds)
    while Date() < end {
        if condition() { return true }
        usleep(5000)
    }
    return condition()
}

/// Bytes that differ everywhere, from a seed.
func pattern(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var value = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    return (0..<count).map { _ in
        value ^= value << 13
        value ^= value >> 7
        value ^= value << 17
        return UInt8(truncatingIfNeeded: value)
    }
}

extension Tag { @Tag static var kernel: Tag }
