import COpenSSL
import Foundation
import Glibc
import TestSupport
import Testing

/// One TLS connection that sends any bytes, in any pieces, and reads any answer. Blocks, with a deadline.
@safe final class TLSClient: WireClient {
    private let context: OpaquePointer
    private let session: OpaquePointer
    private let descriptor: Int32
    /// Received and not yet taken.
    var received: [UInt8] = []

    /// Where a gateway is, and who vouches for it.
    struct Address: Sendable {
        let port: UInt16
        var authorityFile: String
    }

    convenience init(_ gateway: TestGateway) throws { try self.init(gateway.address) }

    /// Connects and completes the handshake; the server must prove that it is 127.0.0.1.
    init(_ address: Address) throws {
        descriptor = try connectToLoopback(port: address.port)
        // SAFETY: both objects are owned by this one and freed in deinit, or here where there is none yet.
        guard let context = unsafe SSL_CTX_new(TLS_client_method()) else { throw Broken(reason: "no TLS context") }
        guard
            unsafe SSL_CTX_load_verify_locations(context, address.authorityFile, nil) == 1,
            let session = unsafe SSL_new(context)
        else {
            unsafe SSL_CTX_free(context)
            throw Broken(reason: "no TLS session")
        }
        unsafe self.context = context
        unsafe self.session = session
        unsafe SSL_set_verify(session, SSL_VERIFY_PEER, nil)
        unsafe X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), "127.0.0.1")
        unsafe SSL_set_fd(session, descriptor)
        let status = unsafe SSL_connect(session)
        guard status == 1 else { throw Broken(reason: "the handshake failed") }
    }

    deinit {
        unsafe SSL_free(session)
        unsafe SSL_CTX_free(context)
        close(descriptor)
    }

    typealias Broken = BrokenConnection

    func send(_ bytes: [UInt8]) throws {
        guard !bytes.isEmpty else { return }
        var count = 0
        // SAFETY: OpenSSL reads the array; the socket blocks, so all of it goes.
        let status = unsafe bytes.withUnsafeBytes { unsafe SSL_write_ex(session, $0.baseAddress, $0.count, &count) }
        guard status == 1 else { throw Broken(reason: "the server does not read any more") }
    }

    /// Changes the keys of what this client sends (RFC 8446, section 4.6.3).
    func updateKeys() throws {
        // SAFETY: the session is this object's own.
        let status = unsafe SSL_key_update(session, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 ? SSL_do_handshake(session) : 0
        guard status == 1 else { throw Broken(reason: "the server does not read any more") }
    }

    /// Says that nothing more will be sent, and goes on reading.
    func finishSending() {
        unsafe SSL_shutdown(session)
        shutdown(descriptor, Int32(SHUT_WR))
    }

    /// Reads more; `false` at the end of what the server sends.
    func receive() throws -> Bool {
        var bytes = [UInt8](repeating: 0, count: 16_384)
        var count = 0
        ERR_clear_error()
        // SAFETY: OpenSSL writes at most the array's bytes and says how many.
        let status = unsafe bytes.withUnsafeMutableBytes {
            unsafe SSL_read_ex(session, $0.baseAddress, $0.count, &count)
        }
        if status == 1 {
            received += bytes[..<count]
            return true
        }
        switch unsafe SSL_get_error(session, status) {
        case SSL_ERROR_ZERO_RETURN: return false
        case SSL_ERROR_WANT_READ: throw Broken(reason: "no answer came in time")
        case let error: throw Broken(reason: "the connection broke (\(error), \(errno))")
        }
    }

    /// Bytes of an answer are here, or the end.
    var isReadable: Bool {
        var byte: UInt8 = 0
        var count = 0
        let flags = fcntl(descriptor, F_GETFL)
        _ = fcntl(descriptor, F_SETFL, flags | O_NONBLOCK)
        defer { _ = fcntl(descriptor, F_SETFL, flags) }
        ERR_clear_error()
        // SAFETY: OpenSSL writes one byte to our stack.
        let status = unsafe SSL_peek_ex(session, &byte, 1, &count)
        return unsafe !received.isEmpty || status == 1 || SSL_get_error(session, status) != SSL_ERROR_WANT_READ
    }

    /// The serial number of the server's certificate.
    var serial: Int {
        guard let certificate = unsafe SSL_get0_peer_certificate(session) else { return 0 }
        var value: UInt64 = 0
        let number = unsafe X509_get0_serialNumber(certificate)
        unsafe ASN1_INTEGER_get_uint64(&value, number)
        return Int(truncatingIfNeeded: value)
    }
}
