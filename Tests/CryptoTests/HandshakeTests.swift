import Foundation
import TestSupport
import Testing

@testable import Crypto

@Suite("TLS handshakes with OpenSSL's own client")
struct HandshakeTests {
    @Test(
        "TLS handshake: TLS 1.2 and 1.3 are spoken with modern ciphers, and the certificate is the one of that name",
        arguments: [
            ("-tls1_3", "New, TLSv1.3, Cipher is TLS_AES_128_GCM_SHA256"),
            ("-tls1_2", "New, TLSv1.2, Cipher is ECDHE-ECDSA-AES256-GCM-SHA384"),
        ])
    func versions(option: String, session: String) throws {
        let server = try TLSServer(TestCertificates.context("localhost"))
        defer { server.stop() }
        let outcome = try OpenSSLClient(port: server.port).connect(
            option, "-verify_return_error", "-verify_hostname", "localhost", "-cipher", "AES128:AES256",
            "-ciphersuites", "TLS_AES_128_GCM_SHA256")
        #expect(outcome.status == 0)
        #expect(outcome.session == session)
        #expect(outcome.text.contains("Verification: OK"))
        #expect(outcome.text.contains("\nhello\n"))
        #expect(outcome.text.contains("Secure Renegotiation IS") || option == "-tls1_3")
        let version = option == "-tls1_3" ? "TLSv1.3" : "TLSv1.2"
        #expect(try server.outcome() == .served(version: version, isResumed: false))
    }

    @Test(
        "TLS handshake: older versions and weak ciphers are refused",
        arguments: [
            ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], ["-tls1", "-cipher", "ALL:@SECLEVEL=0"],
            ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"],
            ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"],
            ["-tls1_2", "-cipher", "AES128-GCM-SHA256"], ["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"],
            ["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256"], ["-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"],
        ])
    func refused(options: [String]) throws {
        let server = try TLSServer(TestCertificates.context("localhost"))
        defer { server.stop() }
        let outcome = try Tool.openssl(["s_client", "-connect", "127.0.0.1:\(server.port)"] + options, input: "x\n")
        #expect(outcome.status != 0)
        #expect(outcome.session.contains("Cipher is (NONE)"))
        #expect(try server.outcome() == .failed(isPlainText: false))
    }

    @Test("TLS handshake: a client cannot renegotiate")
    func renegotiation() throws {
        let server = try TLSServer(TestCertificates.context("localhost"))
        defer { server.stop() }
        // `R` on a line of its own makes s_client ask for a new handshake.
        let outcome = try Tool.openssl(["s_client", "-connect", "127.0.0.1:\(server.port)", "-tls1_2"], input: "R\n")
        #expect(outcome.text.contains("RENEGOTIATING"))
        #expect(outcome.text.contains("no renegotiation"))
        #expect(try server.outcome() == .failed(isPlainText: false))
    }

    @Test(
        "TLS handshake: the name that a client asks for chooses the certificate",
        arguments: [
            (["-servername", "localhost"], "localhost"), (["-servername", "other.example.com"], "other"),
            (["-servername", "OTHER.Example.COM"], "other"), (["-servername", "a.wild.example.com"], "other"),
            // A wildcard stands for one label; what nobody is named gets the first certificate.
            (["-servername", "a.b.wild.example.com"], "localhost"), (["-servername", "wild.example.com"], "localhost"),
            (["-servername", "unknown"], "localhost"), (["-noservername"], "localhost"),
        ])
    func serverNames(options: [String], commonName: String) throws {
        let server = try TLSServer(TestCertificates.context("localhost", "other"))
        defer { server.stop() }
        for version in ["-tls1_2", "-tls1_3"] {
            let outcome = try Tool.openssl(
                ["s_client", "-connect", "127.0.0.1:\(server.port)", "-ign_eof", version] + options,
                input: "x\n")
            #expect(outcome.commonName == commonName)
            #expect(outcome.text.contains("\nhello\n"))
        }
    }

    @Test(
        "TLS handshake: of the protocols that a client offers http/1.1 is chosen, and others are no reason to refuse",
        arguments: [
            ("http/1.1", "ALPN protocol: http/1.1"), ("h2,http/1.1", "ALPN protocol: http/1.1"),
            ("http/1.1,h2", "ALPN protocol: http/1.1"), ("h2", "No ALPN negotiated"),
            ("http/1.0,http/1.12", "No ALPN negotiated"),
        ])
    func protocols(offered: String, line: String) throws {
        let server = try TLSServer(TestCertificates.context("localhost", "other"))
        defer { server.stop() }
        for name in ["localhost", "other.example.com"] {
            let outcome = try OpenSSLClient(port: server.port).connect("-alpn", offered, "-servername", name)
            #expect(outcome.text.contains(line))
            #expect(outcome.text.contains("\nhello\n"))
        }
    }

    @Test(
        "TLS handshake: a session is resumed by every context that shares the ticket keys, until its key has been rotated twice",
        arguments: ["-tls1_2", "-tls1_3"])
    func resumption(version: String) throws {
        let keys = TicketKeys()
        let server = try TLSServer(TestCertificates.context("localhost", keys: keys))
        defer { server.stop() }
        let client = OpenSSLClient(port: server.port)
        let ticket = try TestCertificates.file("ticket\(version).pem")

        #expect(try client.connect(version, "-sess_out", ticket).session.hasPrefix("New"))
        #expect(try client.connect(version, "-sess_in", ticket).session.hasPrefix("Reused"))
        server.use(try TestCertificates.context("localhost", keys: keys))
        #expect(try client.connect(version, "-sess_in", ticket).session.hasPrefix("Reused"))
        keys.rotate()
        #expect(try client.connect(version, "-sess_in", ticket).session.hasPrefix("Reused"))
        #expect(
            try server.outcome(4) == .served(version: version == "-tls1_2" ? "TLSv1.2" : "TLSv1.3", isResumed: true))
        keys.rotate()
        #expect(try client.connect(version, "-sess_in", ticket).session.hasPrefix("New"))
        #expect(
            try server.outcome(5) == .served(version: version == "-tls1_2" ? "TLSv1.2" : "TLSv1.3", isResumed: false))
    }

    @Test("TLS handshake: a ticket that is used after its key was rotated is replaced by one of the new key")
    func renewal() throws {
        let keys = TicketKeys()
        let server = try TLSServer(TestCertificates.context("localhost", keys: keys))
        defer { server.stop() }
        let client = OpenSSLClient(port: server.port)
        let (old, new) = (try TestCertificates.file("old-ticket.pem"), try TestCertificates.file("new-ticket.pem"))
        #expect(try client.connect("-sess_out", old).session.hasPrefix("New"))
        keys.rotate()
        #expect(try client.connect("-sess_in", old, "-sess_out", new).session.hasPrefix("Reused"))
        keys.rotate()
        #expect(try client.connect("-sess_in", old).session.hasPrefix("New"))
        #expect(try client.connect("-sess_in", new).session.hasPrefix("Reused"))
        server.use(try TestCertificates.context("localhost"))
        #expect(try client.connect("-sess_in", new).session.hasPrefix("New"))
    }

    @Test("TLS handshake: a large answer arrives whole through partial writes")
    func largeAnswer() throws {
        let line = "0123456789abcdefghijklmnopqrstuvwxyz\n"
        let text = String(repeating: line, count: 60_000)
        let server = try TLSServer(TestCertificates.context("localhost"), answer: Array(text.utf8))
        defer { server.stop() }
        let outcome = try OpenSSLClient(port: server.port).connect("-quiet")
        let lines = outcome.text.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.count { $0 == line.dropLast() } == 60_000)
    }

    @Test(
        "TLS handshake: plain HTTP is distinguished from malformed TLS",
        arguments: [
            ("GET / HTTP/1.1\r\n\r\n", true), ("post / HTTP/1.1\r\n\r\n", true),
            ("\u{16}\u{3}\u{1}\u{0}\u{5}hello", false), ("\u{80}", false), ("\r\n", false),
        ])
    func plainText(text: String, isPlainText: Bool) throws {
        let server = try TLSServer(TestCertificates.context("localhost"))
        defer { server.stop() }
        _ = try Tool.run("/bin/bash", ["-c", "cat >/dev/tcp/127.0.0.1/\(server.port)"], input: text)
        #expect(try server.outcome() == .failed(isPlainText: isPlainText))
    }
}
