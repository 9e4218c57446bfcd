import Crypto
import Foundation
import HTTP
import Synchronization
import TestSupport
import Testing

@testable import Transport

@Suite("A connection over TLS")
struct ServerTLSTests {
    private func settings(_ change: (inout ServerTimeouts) -> Void = { _ in }) -> Listener.Settings {
        var timeouts = ServerTimeouts()
        change(&timeouts)
        return .init(timeouts: timeouts)
    }

    private func server(_ certificate: LocalCertificateFiles, _ settings: Listener.Settings = .init()) throws
        -> TestServer
    {
        try TestServer(settings, context: certificate.context)
    }

    private func curl(_ certificate: LocalCertificateFiles, _ server: TestServer, _ arguments: [String]) throws
        -> String
    {
        let address = "localhost:\(server.port)"
        return try Tool.run(
            "curl",
            [
                "-sS", "--max-time", "20", "--cacert", certificate.authorityFile, "--resolve",
                "\(address):127.0.0.1",
            ]
                + arguments.map { $0.replacingOccurrences(of: "BASE", with: "https://\(address)") }
        ).text
    }

    @Test("ServerConnection over TLS: one connection carries several requests")
    func keepAlive() throws {
        let certificate = try LocalCertificateFiles()
        let server = try server(certificate)
        defer { server.stop() }
        let output = try curl(
            certificate, server, ["-w", " connects %{num_connects}\\n", "BASE/1", "BASE/2", "BASE/3"])
        #expect(output == "GET /1 connects 1\nGET /2 connects 0\nGET /3 connects 0\n")
    }

    @Test(
        "ServerConnection over TLS: large bodies pass in both directions",
        arguments: [[], ["-H", "Transfer-Encoding: chunked"]])
    func largeBodies(options: [String]) throws {
        let certificate = try LocalCertificateFiles()
        let server = try server(certificate)
        defer { server.stop() }
        let body = String((0..<2_000_000).map { Character(UnicodeScalar(UInt8(97 + $0 % 26))) })
        let file = certificate.folder.appending(path: "body")
        try Data(body.utf8).write(to: file)
        let output = try curl(certificate, server, options + ["--data-binary", "@\(file.path)", "BASE/"])
        let isEqual = output == "POST /\n" + body
        #expect(isEqual)
    }

    @Test("ServerConnection over TLS: requests in one record are answered in order, and the connection ends in order")
    func pipelining() throws {
        let certificate = try LocalCertificateFiles()
        let server = try server(certificate)
        defer { server.stop() }
        let requests = (0..<3).map { "GET /\($0) HTTP/1.1\r\nHost: a\r\n\($0 == 2 ? "Connection: close\r\n" : "")\r\n" }
        for version in ["-tls1_2", "-tls1_3"] {
            let output = try Tool.run(
                "openssl",
                ["s_client", "-connect", "127.0.0.1:\(server.port)", "-quiet", "-ign_eof", version],
                input: requests.joined()
            ).text
            let expected = (0..<3).map { response(200, "GET /\($0)", closes: $0 == 2) }
            #expect(output == expected.joined())
        }
        try server.wait(for: "over", count: 2)
    }

    @Test("ServerConnection over TLS: somebody who speaks plain HTTP can be told so")
    func plainText() throws {
        let certificate = try LocalCertificateFiles()
        let server = try server(certificate)
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.expect("plain")
        client.expectEnd()
    }

    @Test(
        "ServerConnection over TLS: a handshake that does not end in time is given up",
        arguments: ["", "\u{16}\u{3}\u{1}\u{1}"])
    func slowHandshake(text: String) throws {
        let certificate = try LocalCertificateFiles()
        let server = try server(certificate, settings { $0.handshake = .milliseconds(100) })
        defer { server.stop() }
        let client = try TestClient(port: server.port)
        client.send(text)
        try server.wait(for: "timed out")
        client.expectEnd()
    }

    @Test("ServerConnection over TLS: a client that leaves within the handshake is no harm")
    func abandonedHandshake() throws {
        let certificate = try LocalCertificateFiles()
        let server = try server(certificate)
        defer { server.stop() }
        for text in ["", "\u{16}\u{3}\u{1}", "\u{16}\u{3}\u{1}\u{0}\u{2}ab"] {
            let client = try TestClient(port: server.port)
            client.send(text)
        }
        try server.wait(for: "over", count: 3)
        #expect(try curl(certificate, server, ["BASE/after"]) == "GET /after")
    }

    private func waitUntilKept(_ count: Int, _ server: TestServer) async throws {
        let deadline = ContinuousClock.now + .seconds(20)
        while try await server.loop.run({ $0.buffers.sessionsKept }) != count {
            try #require(ContinuousClock.now < deadline, "\(count) sessions were to keep their buffers")
        }
    }

    @Test("ServerConnection over TLS: requests share the session's buffers, until the connection rests")
    func sessionBuffers() async throws {
        let certificate = try LocalCertificateFiles()
        let server = try server(certificate)
        defer { server.stop() }
        let client = try SecureClient(port: server.port)
        #expect(try await server.loop.run { $0.buffers.sessionsKept } == 0, "before its first request")
        for round in 0..<2 {
            for number in 0..<2 {
                #expect(try client.ask("/\(round)\(number)") == response(200, "GET /\(round)\(number)"))
                #expect(try await server.loop.run { $0.buffers.sessionsKept } == 1)
            }
            try await waitUntilKept(0, server)
        }
        #expect(try client.ask("/last") == response(200, "GET /last"))
        client.leave()
        try server.wait(for: "over")
        try await waitUntilKept(0, server)
    }

    @Test(
        "ServerConnection over TLS: buffers with a part of a record stay until the rest has come",
        arguments: [1, 5, 6, 20])
    func partOfRecord(bytes: Int) async throws {
        let certificate = try LocalCertificateFiles()
        let server = try server(certificate)
        defer { server.stop() }
        let relay = try Relay(to: server.port)
        let client = try SecureClient(port: relay.port)
        #expect(try client.ask("/1") == response(200, "GET /1"))
        relay.hold(after: bytes)
        try client.send("/2")
        try waitUntil("a part of the record has come") { relay.isHolding }
        try await waitUntilKept(0, server)
        relay.release()
        #expect(try client.receive("/2") == response(200, "GET /2"))
        client.leave()
    }

    @Test(
        "ServerConnection over TLS: a client whose handshake ends in a drain gets its response",
        arguments: ["-tls1_2", "-tls1_3"])
    func handshakeInDrain(version: String) throws {
        let certificate = try LocalCertificateFiles()
        let server = try server(certificate)
        defer { server.stop() }
        server.isStopping = true
        let client = try SecureClient(port: server.port, version)
        #expect(try client.ask("/1") == response(200, "GET /1"))
        try client.expectEnd()
    }

    @Test("ServerConnection over TLS: of two idle connections, the one that has been idle longer makes room")
    func eviction() async throws {
        let certificate = try LocalCertificateFiles()
        let limiter = ConnectionLimiter(limit: 2)
        let server = try TestServer(context: certificate.context, limiter: limiter)
        defer { server.stop() }
        let (older, newer) = (try SecureClient(port: server.port), try SecureClient(port: server.port))
        _ = try older.ask("/1")
        try await waitUntilKept(0, server)
        // This one keeps its buffers, so that its wait ends sooner than the other's.
        _ = try newer.ask("/2")
        let newcomer = try TestClient(port: server.port, from: 2)
        try older.expectEnd()
        #expect(try newer.ask("/3") == response(200, "GET /3"))
        newcomer.finishSending()
    }

    @Test("BufferPools: the sessions that keep their buffers have a bound")
    func sessionLimit() {
        var buffers = BufferPools()
        var taken = 0
        while buffers.takeSession() { taken += 1 }
        #expect(taken == 64 && buffers.sessionsKept == taken)
        buffers.giveBackSession()
        let again = buffers.takeSession()
        #expect(again && !buffers.takeSession())
    }
}

/// A TLS client that sends one request after the other on its connection.
private final class SecureClient {
    private let process = Process()
    private let (requests, responses) = (Pipe(), Pipe())

    init(port: UInt16, _ version: String = "-tls1_3") throws {
        // A program that has ended makes a write fail, and does not end the tests.
        signal(SIGPIPE, SIG_IGN)
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["openssl", "s_client", "-connect", "127.0.0.1:\(port)", "-quiet", version]
        process.standardInput = requests
        process.standardOutput = responses
        process.standardError = FileHandle.nullDevice
        try process.run()
    }

    deinit { leave() }

    func ask(_ path: String) throws -> String {
        try send(path)
        return try receive(path)
    }

    func send(_ path: String) throws {
        try requests.fileHandleForWriting.write(contentsOf: Data("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
    }

    /// The response, whose body names the path.
    func receive(_ path: String) throws -> String {
        var text = ""
        while !text.hasSuffix("GET \(path)"), let more = try responses.fileHandleForReading.read(upToCount: 1),
            !more.isEmpty
        {
            text += String(decoding: more, as: UTF8.self)
        }
        return text
    }

    func expectEnd(sourceLocation: SourceLocation = #_sourceLocation) throws {
        let more = try responses.fileHandleForReading.read(upToCount: 1)
        #expect(more?.isEmpty ?? true, sourceLocation: sourceLocation)
    }

    /// Not by SIGTERM, which a process may have inherited as ignored.
    func leave() {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}

/// Passes bytes on in both directions, and can hold back what the client sends.
private final class Relay: Sendable {
    private let listener: LoopbackListener
    /// How many more bytes of the client pass; `nil` for all.
    private let left = Mutex<Int?>(nil)

    var port: UInt16 { listener.port }

    init(to port: UInt16) throws {
        listener = try LoopbackListener()
        let server = try PlainSocket(port: port)
        Thread.detachNewThread { [self] in
            guard let client = listener.accept() else { return }
            Thread.detachNewThread {
                while case .bytes(let bytes) = server.receive() { try? client.send(bytes) }
                client.finishSending()
            }
            while case .bytes(let bytes) = client.receive() {
                for byte in bytes {
                    while left.withLock({ $0 == 0 }) { usleep(1000) }
                    left.withLock { left in if let count = left { left = count - 1 } }
                    try? server.send([byte])
                }
            }
            server.finishSending()
        }
    }

    func hold(after count: Int) { left.withLock { $0 = count } }

    var isHolding: Bool { left.withLock { $0 == 0 } }

    func release() { left.withLock { $0 = nil } }
}
