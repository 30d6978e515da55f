import Foundation
import Testing

@testable import Transport

/// A TLS server with a certificate of its own making for `localhost` (openssl s_server).
private final class TLSServer {
    let directory: URL
    let port: Int
    private let process: ChildProcess

    var certificate: String { directory.appending(path: "cert.pem").path }

    /// Nil when openssl cannot be run or says no port.
    init?() {
        directory = FileManager.default.temporaryDirectory
            .appending(path: "pail-tls-\(UUID().uuidString)")
        try? FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let certificate = directory.appending(path: "cert.pem").path
        let key = directory.appending(path: "key.pem").path
        let request = ChildProcess([
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost",
        ])
        guard request?.wait() == 0,
            let process = ChildProcess([
                "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", certificate, "-key", key,
                "-www",
            ])
        else { return nil }
        while let line = process.readLine() {
            guard line.hasPrefix("ACCEPT"), let digits = line.split(separator: ":").last,
                let port = Int(digits)
            else { continue }
            self.process = process
            self.port = port
            return
        }
        return nil
    }

    deinit { try? FileManager.default.removeItem(at: directory) }
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
            // Its ClientHello: a reset before it may count as a connection that never was.
            connection.waitForBytes()
            connection.reset()
        }
        let recorder = await makeTransport().get("https://127.0.0.1:\(server.port)/")
        #expect(recorder.error?.kind == .connectionLost)
    }
}
