import COpenSSL
import Foundation
import Testing

@testable import Crypto

@Suite("Configuration of a TLS client")
struct TLSClientContextTests {
    private func failure(_ options: TLSClientContext.Options) -> TLSError.Operation? {
        do throws(TLSError) {
            _ = try TLSClientContext(options)
            return nil
        } catch {
            #expect(!error.reason.isEmpty)
            return error.operation
        }
    }

    @Test("TLSClientContext: faults of a file are distinguished")
    func failures() throws {
        let authority = try TestCertificates.file("ca.pem")
        let certificate = try TestCertificates.file("client.pem")
        let key = try TestCertificates.file("client.key")
        #expect(failure(.init()) == nil)
        #expect(failure(.init(authorityFile: authority)) == nil)
        #expect(failure(.init(authorityFile: authority, certificateFile: certificate, keyFile: key)) == nil)
        for file in ["/nonexistent", "/dev/null", key, ""] {
            #expect(failure(.init(authorityFile: file)) == .loadAuthority)
        }
        #expect(failure(.init(certificateFile: certificate)) == .loadKey)
        #expect(failure(.init(keyFile: key)) == .loadCertificate)
        #expect(failure(.init(certificateFile: key, keyFile: key)) == .loadCertificate)
        #expect(failure(.init(certificateFile: certificate, keyFile: certificate)) == .loadKey)
        let other = try TestCertificates.file("mismatch.key")
        #expect(failure(.init(certificateFile: certificate, keyFile: other)) == .keyMismatch)
    }

    /// A session as a server gives it, without the server.
    private func withSession(body: (OpaquePointer) throws -> Void) throws {
        // SAFETY: freed below, and used by nobody after that.
        guard let session = unsafe SSL_SESSION_new() else { throw TLSError(.newSession, reason: "") }
        defer { unsafe SSL_SESSION_free(session) }
        let identifier: [UInt8] = [1, 2, 3]
        unsafe SSL_SESSION_set1_id(session, identifier, UInt32(identifier.count))
        unsafe SSL_SESSION_set_protocol_version(session, TLS1_2_VERSION)
        try unsafe body(session)
    }

    /// Whether a new connection to the server of `key` offers a session.
    private func isOffered(_ sessions: SessionStore, at key: [UInt8], now: Int) throws -> Bool {
        let context = try TLSClientContext(.init())
        // SAFETY: freed below.
        guard let ssl = unsafe SSL_new(context.pointer) else { throw TLSError(.newSession, reason: "") }
        defer { unsafe SSL_free(ssl) }
        unsafe sessions.offer(to: ssl, at: key, now: now)
        return unsafe SSL_get_session(ssl) != nil
    }

    @Test("TLSClientContext: the newest session of each of so many servers is kept")
    func bound() throws {
        let sessions = SessionStore()
        try unsafe withSession { session in
            for index in 0..<SessionStore.limit + 6 {
                unsafe sessions.store(session, at: [UInt8(index)])
                unsafe sessions.store(session, at: [UInt8(index)])
            }
            // Heard of again: the oldest is another one now.
            unsafe sessions.store(session, at: [6])
            unsafe sessions.store(session, at: [200])
        }
        #expect(sessions.countForTest == SessionStore.limit)
        let now = Int(Date().timeIntervalSince1970)
        for key in [6, 8, 200] as [UInt8] { #expect(try isOffered(sessions, at: [key], now: now)) }
        for key in [0, 5, 7, 201] as [UInt8] { #expect(try !isOffered(sessions, at: [key], now: now)) }
    }

    @Test("TLSClientContext: a session that has expired is not offered, nor kept")
    func expiry() throws {
        let sessions = SessionStore()
        try unsafe withSession { session in
            unsafe SSL_SESSION_set_time(session, 1_000_000)
            unsafe SSL_SESSION_set_timeout(session, 3600)
            unsafe sessions.store(session, at: [1])
        }
        #expect(try isOffered(sessions, at: [1], now: 1_003_599))
        #expect(try !isOffered(sessions, at: [1], now: 1_003_600))
        #expect(sessions.countForTest == 0)
    }

    @Test("TLSClientContext: a server's session is good for an hour")
    func lifetime() throws {
        let context = try TLSClientContext(.init())
        #expect(unsafe SSL_CTX_get_timeout(context.pointer) == 3600)
    }
}
