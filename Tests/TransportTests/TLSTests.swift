import Foundation
import Testing

@testable import Transport

/// A TLS server with a certificate of its own making for `localhost` (openssl s_server).
private final class TLSServer {
    let directory: URL
    let port: Int
    private let process = Process()

    var certificate: String { directory.appending(path: "cert.pem").path }

    /// Nil when openssl cannot be run or says no port.
    init?() {
        directory = FileManager.default.temporaryDirectory
            .appending(path: "pail-tls-\(UUID().uuidString)")
        do {
            try FileManager.default.createDirectory(
                at: directory, withIntermediateDirectories: true)
            let request = Process()
            request.executableURL = URL(filePath: "/usr/bin/openssl")
            request.currentDirectoryURL = directory
            request.arguments = [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=localhost",
                "-addext", "subjectAltName=DNS:localhost",
            ]
            request.standardError = FileHandle.nullDevice
            try request.run()
            request.waitUntilExit()

            let output = Pipe()
            process.executableURL = URL(filePath: "/usr/bin/openssl")
            process.currentDirectoryURL = directory
            process.arguments = [
                "s_server", "-accept", "127.0.0.1:0", "-cert", "cert.pem", "-key", "key.pem",
                "-www",
            ]
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = output
            process.standardError = FileHandle.nullDevice
            try process.run()
            var text = ""
            while !text.contains("ACCEPT") || !text.hasSuffix("\n") {
                let data = output.fileHandleForReading.availableData
                if data.isEmpty { return nil }
                text += String(decoding: data, as: UTF8.self)
            }
            guard let digits = text.split(separator: ":").last,
                let port = Int(digits.prefix(while: \.isNumber))
            else { return nil }
            self.port = port
        } catch {
            return nil
        }
    }

    deinit {
        if process.isRunning {
            process.terminate()
            process.waitUntilExit()
        }
        try? FileManager.default.removeItem(at: directory)
    }
}

struct TLSTests {
    @Test func certificatesAreVerified() async throws {
        let server = try #require(TLSServer())

        let distrusting = makeTransport()
        let untrusted = await distrusting.get("https://localhost:\(server.port)/")
        #expect(untrusted.error?.kind == .certificate)
        #expect(untrusted.error?.message.contains("self-signed") == true)

        let trusting = makeTransport { $0.caBundle = server.certificate }
        let trusted = await trusting.get("https://localhost:\(server.port)/")
        #expect(trusted.error == nil)
        #expect(trusted.head?.status == 200)

        let misnamed = await trusting.get("https://127.0.0.1:\(server.port)/")
        #expect(misnamed.error?.kind == .certificate)
        #expect(misnamed.error?.message.contains("127.0.0.1") == true)

        let missing = makeTransport { $0.caBundle = "/nonexistent/bundle.pem" }
        let unreadable = await missing.get("https://localhost:\(server.port)/")
        #expect(unreadable.error?.kind == .certificate)
        #expect(unreadable.error?.message.contains("/nonexistent/bundle.pem") == true)
    }

    @Test func plainTextIsNoTLS() async {
        let server = ScriptedServer { connection in
            connection.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            connection.waitForClose()
        }
        let recorder = await makeTransport().get("https://127.0.0.1:\(server.port)/")
        #expect(recorder.error?.kind == .tls)
    }

    @Test func anEndInTheHandshakeIsALostConnection() async {
        let server = ScriptedServer { connection in
            usleep(20_000)
            connection.reset()
        }
        let recorder = await makeTransport().get("https://127.0.0.1:\(server.port)/")
        #expect(recorder.error?.kind == .connectionLost)
    }
}
