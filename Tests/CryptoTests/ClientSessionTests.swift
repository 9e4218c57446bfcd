import COpenSSL
import Foundation
import Testing

@testable import Crypto

@Suite("TLS as a client")
struct ClientSessionTests {
    private func withServer(
        _ identities: String..., body: (TLSServer) throws -> Void
    ) throws {
        let server = try TLSServer(
            TLSContext(identities: identities.map(TestCertificates.identity), keys: TicketKeys()))
        defer { server.stop() }
        try body(server)
    }

    @Test(
        "TLS client session: a certificate for the name is accepted",
        arguments: [
            ("localhost", "localhost"), ("localhost", "LOCALHOST"), ("localhost", "localhost."),
            ("localhost", "127.0.0.1"), ("localhost", "::1"), ("address", "127.0.0.1"),
            ("other", "other.example.com"), ("other", "a.wild.example.com"), ("renewed", "localhost"),
        ])
    func goodName(identity: String, name: String) throws {
        try withServer(identity) { server throws in
            let outcome = try TLSClient().connect(to: server.port, as: name)
            #expect(outcome == .served("hello\n", version: "TLSv1.3", isResumed: false))
        }
    }

    @Test(
        "TLS client session: a certificate for another name is refused, and the reason is reported",
        arguments: [
            ("localhost", "other.example.com", "hostname mismatch"),
            ("localhost", "127.0.0.2", "IP address mismatch"),
            ("other", "127.0.0.1", "IP address mismatch"),
            ("other", "wild.example.com", "hostname mismatch"), ("other", "a.b.wild.example.com", "hostname mismatch"),
            ("other", "example.com", "hostname mismatch"),
            // Neither a common name nor half a label is a name.
            ("address", "address", "hostname mismatch"), ("partial", "www.example.com", "hostname mismatch"),
            ("expired", "localhost", "certificate has expired"),
            ("self-signed", "localhost", "self-signed certificate"),
            ("client", "client.example.com", "unsuitable certificate purpose"),
        ])
    func badCertificate(identity: String, name: String, reason: String) throws {
        try withServer(identity) { server throws in
            let outcome = try TLSClient().connect(to: server.port, as: name)
            #expect(outcome == .failed(TLSError(.verify, reason: reason)))
            #expect(try server.outcome() == .failed(isPlainText: false))
        }
    }

    @Test(
        "TLS client session: an authority that is not trusted is refused, and the system's store does not know that of the tests"
    )
    func unknownAuthority() throws {
        let other = try TestCertificates.file("self-signed.pem")
        try withServer("localhost") { server throws in
            for options in [TLSClientContext.Options(), .init(authorityFile: other)] {
                let outcome = try TLSClient(options).connect(to: server.port, as: "localhost")
                #expect(outcome.error == TLSError(.verify, reason: "unable to get local issuer certificate"))
            }
        }
    }

    @Test(
        "TLS client session: what is no name is refused before anything is sent",
        arguments: [
            "", ".", ".example.com", "a..b", "a b", "*.example.com", "a\0", "127.0.0.1\0", "[::1]", "caf\u{E9}",
            "\u{212A}", "a/b", String(repeating: "a", count: 64), String(repeating: "a.", count: 127) + "a",
        ])
    func badName(name: String) throws {
        try withServer("localhost") { server throws in
            let error = try TLSClient().connect(to: server.port, as: name).error
            #expect(error?.operation == .newSession)
            #expect(error?.cause == .refusal)
        }
    }

    @Test("TLS client session: SNI has the wanted name, but never an address")
    func serverName() throws {
        try withServer("localhost", "other") { server throws in
            // The second certificate is only served where its name was asked for.
            #expect(try TLSClient().connect(to: server.port, as: "other.example.com").text == "hello\n")
            #expect(try TLSClient().connect(to: server.port, as: "localhost").text == "hello\n")
        }
        try withServer("other", "address") { server throws in
            let operation = try TLSClient().connect(to: server.port, as: "127.0.0.1").error?.operation
            #expect(operation == .verify)
        }
    }

    @Test(
        "TLS client session: a session is resumed by the next connection to the same name, and by no other",
        arguments: [true, false])
    func resumption(isNewest: Bool) throws {
        let server = try OpenSSLServer(isNewest ? "-tls1_3" : "-tls1_2")
        defer { server.stop() }
        let client = try TLSClient()
        func connect(_ name: String) throws -> TLSClient.Outcome {
            try client.connect(to: server.port, as: name, line: "CLOSE\n")
        }
        // `CLOSE` makes s_server end the connection.
        #expect(try connect("localhost") == .served("", version: isNewest ? "TLSv1.3" : "TLSv1.2", isResumed: false))
        for _ in 0..<3 { #expect(try connect("localhost").isResumed == true) }
        #expect(client.context.sessions.countForTest == 1)
        #expect(try connect("127.0.0.1").isResumed == false)
        #expect(try connect("127.0.0.1").isResumed == true)
        #expect(client.context.sessions.countForTest == 2)
        // Another context has not seen it.
        #expect(try TLSClient().connect(to: server.port, as: "localhost", line: "CLOSE\n").isResumed == false)
    }

    @Test("TLS client session: a session of a server that forgot its keys costs a full handshake and no more")
    func staleSession() throws {
        try withServer("localhost") { server throws in
            let client = try TLSClient()
            #expect(try client.connect(to: server.port, as: "localhost").isResumed == false)
            #expect(try client.connect(to: server.port, as: "localhost").isResumed == true)
            server.use(try TestCertificates.context("localhost"))
            #expect(try client.connect(to: server.port, as: "localhost").isResumed == false)
            // A server that is no longer to be trusted is not hidden by a session, nor is the session kept.
            server.use(try TestCertificates.context("expired"))
            let operation = try client.connect(to: server.port, as: "localhost").error?.operation
            #expect(operation == .verify)
            #expect(client.context.sessions.countForTest == 0)
        }
    }

    @Test("TLS client session: loops that share a context resume and keep sessions at the same time")
    func sharedByThreads() throws {
        let client = try TLSClient()
        let servers = try (0..<4).map { _ in try TLSServer(TestCertificates.context("localhost")) }
        defer { for server in servers { server.stop() } }
        let ports = servers.map(\.port)
        DispatchQueue.concurrentPerform(iterations: 4) { index in
            for _ in 0..<25 {
                let outcome = try? client.connect(to: ports[index], as: "localhost")
                #expect(outcome?.text == "hello\n")
            }
        }
        // Each of them has a session of its own, although they have one name.
        #expect(client.context.sessions.countForTest == 4)
        for port in ports { #expect(try client.connect(to: port, as: "localhost").isResumed == true) }
    }

    @Test(
        "TLS client session: a server that asks for a certificate gets it, and says so when there is none",
        arguments: ["-tls1_3", "-tls1_2"])
    func clientCertificate(version: String) throws {
        let authority = try TestCertificates.file("ca.pem")
        let server = try OpenSSLServer(version, "-Verify", "1", "-verify_return_error", "-CAfile", authority)
        defer { server.stop() }
        let known = try TLSClient(
            .init(
                authorityFile: authority, certificateFile: TestCertificates.file("client.pem"),
                keyFile: TestCertificates.file("client.key")))
        #expect(try known.connect(to: server.port, as: "localhost", line: "CLOSE\n").text == "")

        let error = try #require(try TLSClient().connect(to: server.port, as: "localhost").error)
        // With TLS 1.3 the client is through before the server has looked: certificate_required, 116. Before that
        // there is only handshake_failure, 40.
        #expect(error.cause == .alert(version == "-tls1_3" ? 116 : 40))
        #expect(error.operation == (version == "-tls1_3" ? .read : .handshake))
    }

    @Test("TLS client session: TLS 1.2 is accepted, and older versions are refused")
    func olderServers() throws {
        let server = try OpenSSLServer("-tls1_2")
        defer { server.stop() }
        let outcome = try TLSClient().connect(to: server.port, as: "localhost", line: "CLOSE\n")
        #expect(outcome == .served("", version: "TLSv1.2", isResumed: false))

        let old = try OpenSSLServer("-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
        defer { old.stop() }
        let error = try TLSClient().connect(to: old.port, as: "localhost").error
        #expect(error?.operation == .handshake)
        // protocol_version
        #expect(error?.cause == .alert(70))
    }

    @Test("TLS client session: what is not TLS is a refusal of ours, and an end that is too early a lost connection")
    func noTLS() throws {
        let client = try TLSClient()
        for (answer, cause) in [
            ("HTTP/1.1 400 Bad Request\r\n\r\n", TLSError.Cause.refusal), ("\u{0}\u{1}\u{2}\u{3}\u{4}\u{5}", .refusal),
            ("", .disconnected), ("\u{16}\u{3}\u{3}\u{0}\u{7A}\u{2}", .disconnected),
        ] {
            let server = try RawServer(answer: Array(answer.utf8))
            defer { server.stop() }
            let error = try client.connect(to: server.port, as: "localhost").error
            #expect(error?.operation == .handshake)
            #expect(error?.cause == cause)
        }
    }

    @Test(
        "TLS client session: a server that chose a protocol which was not offered is refused, one that chose none or http/1.1 is not"
    )
    func protocols() throws {
        for (options, isServed) in [(["-alpn", "h2,http/1.1"], true), (["-alpn", "h2"], false), ([], true)] {
            let server = try OpenSSLServer(["-tls1_3"] + options)
            defer { server.stop() }
            let outcome = try TLSClient().connect(to: server.port, as: "localhost", line: "CLOSE\n")
            // no_application_protocol
            #expect(outcome.error?.cause == (isServed ? nil : .alert(120)))
        }
    }

    @Test("TLS client session: a server that insists on HTTP/2 is refused")
    func unwantedProtocol() throws {
        let context = try TestCertificates.context("localhost")
        // SAFETY: nobody uses the context yet; the two bytes are never freed.
        unsafe SSL_CTX_set_alpn_select_cb(
            context.pointer,
            { _, out, length, _, _, _ in
                unsafe out?.pointee = UnsafePointer(http2)
                unsafe length?.pointee = 2
                return SSL_TLSEXT_ERR_OK
            }, nil)
        let server = try TLSServer(context)
        defer { server.stop() }
        let error = try TLSClient().connect(to: server.port, as: "localhost").error
        #expect(error?.operation == .handshake)
        #expect(error?.cause == .refusal)
    }

    @Test("TLS client session: nothing holds a session store when its context and the sessions have gone")
    func released() throws {
        weak var store: SessionStore?
        try withServer("localhost") { server throws in
            let client = try TLSClient()
            store = client.context.sessions
            #expect(try client.connect(to: server.port, as: "localhost").text == "hello\n")
            #expect(store?.countForTest == 1)
        }
        #expect(store == nil)
    }

    @Test("TLS client session: Connections leave nothing in memory, whichever way they end")
    func memory() async {
        // In a process of its own, where no other test uses memory meanwhile.
        await #expect(processExitsWith: .success) {
            let server = try TLSServer(TestCertificates.context("localhost"))
            func residentPages() throws -> Int {
                let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
                return try #require(Int(text.split(separator: " ")[1]))
            }
            func connect() throws {
                let client = try TLSClient()
                #expect(try client.connect(to: server.port, as: "localhost").isResumed == false)
                #expect(try client.connect(to: server.port, as: "localhost").isResumed == true)
                #expect(try client.connect(to: server.port, as: "other.example.com").error?.operation == .verify)
                #expect(try client.connect(to: server.port, as: "").error?.operation == .newSession)
            }
            for _ in 0..<50 { try connect() }
            let before = try residentPages()
            for _ in 0..<200 { try connect() }
            let grown = try residentPages() - before
            // One kilobyte left by each connection would be these.
            #expect(grown < 100)
        }
    }
}

nonisolated(unsafe) private let http2: UnsafeMutablePointer<UInt8> = {
    let text = UnsafeMutablePointer<UInt8>.allocate(capacity: 2)
    // SAFETY: there is room for two bytes.
    unsafe text[0] = UInt8(ascii: "h")
    unsafe text[1] = UInt8(ascii: "2")
    return unsafe text
}()
