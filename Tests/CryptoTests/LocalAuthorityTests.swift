import Foundation
import TestSupport
import Testing

@testable import Crypto

@Suite("The local certificate authority")
struct LocalAuthorityTests {
    @Test("LocalAuthority: its server certificate is one that clients trust by name and by address")
    func serverCertificate() throws {
        let now = Int(Date().timeIntervalSince1970)
        let authority = try LocalAuthority.makeAuthority(commonName: "Test authority", now: now)
        let identity = try LocalAuthority.issueServerCertificate(
            commonName: "localhost", names: ["DNS:localhost", "IP:127.0.0.1", "IP:::1"], signedBy: authority, now: now)
        let folder = try FileManager.default.url(
            for: .itemReplacementDirectory, in: .userDomainMask, appropriateFor: FileManager.default.temporaryDirectory,
            create: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = { (name: String, bytes: [UInt8]) throws -> String in
            let url = folder.appending(path: name)
            try Data(bytes).write(to: url)
            return url.path
        }
        let authorityFile = try file("ca.pem", authority.certificate)
        let certificateFile = try file("server.pem", identity.certificate)
        let keyFile = try file("server.key", identity.key)

        for name in ["-verify_hostname", "-verify_ip"] {
            let verified = try Tool.openssl([
                "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", authorityFile, name,
                name == "-verify_ip" ? "127.0.0.1" : "localhost", certificateFile,
            ])
            #expect(verified.status == 0, "\(verified.text)")
        }
        let context = try TLSContext(
            identities: [TLSIdentity(certificateFile: certificateFile, keyFile: keyFile)], keys: TicketKeys())
        #expect(context.certificateNames == ["localhost"])
        let server = try TLSServer(context)
        defer { server.stop() }
        let outcome = try Tool.openssl(
            [
                "s_client", "-connect", "127.0.0.1:\(server.port)", "-ign_eof", "-CAfile", authorityFile,
                "-verify_return_error", "-verify_hostname", "localhost",
            ], input: "x\n")
        #expect(outcome.text.contains("Verification: OK"))
        #expect(outcome.text.contains("\nhello\n"))
    }

    @Test("LocalAuthority: a server certificate lives 90 days, its authority longer")
    func lives() throws {
        let now = 1_700_000_000
        let authority = try LocalAuthority.makeAuthority(commonName: "Test authority", now: now)
        let server = try LocalAuthority.issueServerCertificate(
            commonName: "localhost", names: ["DNS:localhost"], signedBy: authority, now: now)
        #expect(try LocalAuthority.end(of: server.certificate) == now + 90 * 86_400)
        #expect(try LocalAuthority.end(of: authority.certificate) == now + 3650 * 86_400)
        #expect(throws: TLSError.self) { try LocalAuthority.end(of: Array("x".utf8)) }
    }

    @Test(
        "LocalAuthority: an authority for some names signs for no other one",
        arguments: [("DNS:localhost", true), ("DNS:bank.example", false)])
    func constraints(name: String, isGood: Bool) throws {
        let now = Int(Date().timeIntervalSince1970)
        let authority = try LocalAuthority.makeAuthority(
            commonName: "Test authority", onlyFor: ["DNS:localhost", "IP:127.0.0.1/255.255.255.255"], now: now)
        let server = try LocalAuthority.issueServerCertificate(
            commonName: "server", names: [name], signedBy: authority, now: now)
        let folder = try FileManager.default.url(
            for: .itemReplacementDirectory, in: .userDomainMask, appropriateFor: FileManager.default.temporaryDirectory,
            create: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data(authority.certificate).write(to: folder.appending(path: "ca.pem"))
        try Data(server.certificate).write(to: folder.appending(path: "server.pem"))
        let verified = try Tool.openssl(["verify", "-CAfile", folder.path + "/ca.pem", folder.path + "/server.pem"])
        #expect((verified.status == 0) == isGood, "\(verified.text)")
    }

    @Test("LocalAuthority: an invalid authority signs nothing")
    func badAuthority() {
        let nobody = PEMIdentity(certificate: Array("x".utf8), key: Array("y".utf8))
        #expect(throws: TLSError.self) {
            try LocalAuthority.issueServerCertificate(commonName: "a", names: ["DNS:a"], signedBy: nobody, now: 0)
        }
    }

    @Test("LocalAuthority: invalid names are refused")
    func badNames() throws {
        let authority = try LocalAuthority.makeAuthority(commonName: "Test authority", now: 1_700_000_000)
        #expect(throws: TLSError.self) {
            try LocalAuthority.issueServerCertificate(
                commonName: "a", names: ["nonsense"], signedBy: authority, now: 1_700_000_000)
        }
    }
}
