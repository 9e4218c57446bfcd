import Foundation
import Testing

@testable import Crypto

@Suite("Loading certificates")
struct TLSContextTests {
    private func failure(_ certificate: String, _ key: String) -> TLSError.Operation? {
        do throws(TLSError) {
            _ = try TLSContext(
                identities: [TLSIdentity(certificateFile: certificate, keyFile: key)], keys: TicketKeys())
            return nil
        } catch {
            #expect(!error.reason.isEmpty)
            return error.operation
        }
    }

    @Test("TLSContext: faults of a certificate and of its key are distinguished")
    func failures() throws {
        let certificate = try TestCertificates.file("localhost.pem")
        let key = try TestCertificates.file("localhost.key")
        #expect(failure(certificate, key) == nil)
        #expect(failure("/nonexistent/a.pem", key) == .loadCertificate)
        #expect(failure(key, key) == .loadCertificate)
        #expect(failure("/dev/null", key) == .loadCertificate)
        #expect(failure(certificate, "/nonexistent/a.key") == .loadKey)
        #expect(failure(certificate, certificate) == .loadKey)
        #expect(failure(certificate, "/dev/null") == .loadKey)
        #expect(failure(certificate, try TestCertificates.file("mismatch.key")) == .keyMismatch)
        #expect(failure(certificate, try TestCertificates.file("rsa.key")) == .keyMismatch)
    }

    @Test("TLSContext: without a certificate there is no context")
    func noIdentity() {
        #expect(throws: TLSError(.loadCertificate, reason: "no certificate is configured")) {
            try TLSContext(identities: [], keys: TicketKeys())
        }
    }

    @Test("TLSContext: one bad certificate among good ones is reported")
    func oneOfMany() throws {
        let bad = TLSIdentity(certificateFile: "/nonexistent", keyFile: "/nonexistent")
        let good = try TestCertificates.identity("localhost")
        for identities in [[good, bad], [bad, good]] {
            #expect(throws: TLSError.self) { try TLSContext(identities: identities, keys: TicketKeys()) }
        }
    }

    @Test("TLSContext: the names of all certificates are known")
    func names() throws {
        let context = try TestCertificates.context("localhost", "other")
        #expect(context.certificateNames == ["localhost", "other.example.com", "*.wild.example.com"])
    }

    @Test("TLSContext: a certificate that could not be loaded leaves nothing in memory, however often it is tried")
    func failedLoads() async {
        // In a process of its own, where no other test uses memory meanwhile.
        await #expect(processExitsWith: .success) {
            let identity = TLSIdentity(certificateFile: "/nonexistent", keyFile: "/nonexistent")
            func load() { _ = try? TLSContext(identities: [identity], keys: TicketKeys()) }
            func residentPages() throws -> Int {
                let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
                return try #require(Int(text.split(separator: " ")[1]))
            }
            load()
            let before = try residentPages()
            for _ in 0..<1000 { load() }
            // This many contexts have 4,500 pages.
            let grown = try residentPages() - before
            #expect(grown < 1000)
        }
    }
}
