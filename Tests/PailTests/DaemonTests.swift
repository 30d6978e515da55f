import Glibc
import Testing

@testable import pail

@Suite struct DaemonTests {
    @Test(arguments: [
        StatusMessage.ready, .warning("two words"), .warning(""),
        .failure(CommandFailure("no such bucket", .noInput)),
        .failure(CommandFailure("a: b 12", .unavailable)),
    ])
    func messagesSurviveThePipe(_ message: StatusMessage) {
        #expect(StatusMessage(line: message.line) == message)
        #expect(!message.line.contains("\n"))
    }

    @Test func linesCannotBeForged() {
        let wild = StatusMessage.warning("x\nready")
        #expect(!wild.line.contains("\n"))
        for line in ["", "rea", "ready x", "fail", "fail x y", "fail 64", "fail 3 unknown", "warn"]
        {
            #expect(StatusMessage(line: line) == nil, "\(line)")
        }
    }

    @Test func aStarterThatNobodyWaitsForSaysSo() {
        signal(SIGPIPE, SIG_IGN)
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        close(ends[0])
        let starter = Starter(statusPipe: ends[1])
        #expect(!starter.fail(CommandFailure("x", .usage)))
        close(ends[1])
    }

    @Test(arguments: [true, false])
    func systemdIsTold(_ isAbstract: Bool) throws {
        let name = "/tmp/pail-notify-test-\(getpid())-\(isAbstract)"
        let path = isAbstract ? "@" + name : name
        var bytes = Array(path.utf8)
        if isAbstract { bytes[0] = 0 }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        try #require(descriptor >= 0)
        defer {
            close(descriptor)
            if !isAbstract { unlink(name) }
        }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(2 + bytes.count))
            }
        }
        try #require(bound == 0)
        ServiceManager.notify(["READY=1", "STATUS=serving b"], address: path)
        var buffer = [UInt8](repeating: 0, count: 100)
        let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        try #require(count > 0)
        #expect(String(decoding: buffer[..<count], as: UTF8.self) == "READY=1\nSTATUS=serving b")
    }

    @Test func nobodyToTell() {
        ServiceManager.notify(["READY=1"], address: nil)
        ServiceManager.notify(["READY=1"], address: "")
        ServiceManager.notify(["READY=1"], address: "relative")
        ServiceManager.notify(["READY=1"], address: "/" + String(repeating: "x", count: 200))
        ServiceManager.notify(["READY=1"], address: "/nonexistent/socket")
    }
}
