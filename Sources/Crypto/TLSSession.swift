internal import Bytes
internal import COpenSSL

/// How far one non-blocking operation on a session got.
package enum TLSProgress: Equatable, Sendable {
    case done(bytes: Int)
    case wantsRead
    case wantsWrite
    case closedByPeer
}

/// One side of one TLS connection. Owns its `SSL *` and frees it exactly once.
///
/// Noncopyable and not `Sendable`: a session stays on the loop of its socket. After a thrown ``TLSError`` it can only
/// be dropped.
@safe package struct TLSSession: ~Copyable {
    private let ssl: OpaquePointer
    private let state: UnsafeMutablePointer<SocketState>

    /// The server's side. Borrows `socket`: its owner closes it after the session is gone.
    package init(context: TLSContext, socket: Int32) throws(TLSError) {
        unsafe (ssl, state) = try TLSSession.make(context.pointer, SocketState(descriptor: socket))
        unsafe SSL_set_accept_state(ssl)
    }

    /// The client's side; it borrows `socket` too. `serverName` is a DNS name or an IP address. If the server's
    /// certificate is not valid for it, `handshake` throws ``TLSError/Operation/verify``.
    package init(client context: TLSClientContext, socket: Int32, serverName: String) throws(TLSError) {
        guard let name = ServerName(serverName) else {
            throw TLSError(.newSession, reason: "neither a host name nor an IP address: \"\(serverName)\"")
        }
        let server = ResumableServer(name, socket: socket, sessions: context.sessions)
        unsafe (ssl, state) = try TLSSession.make(context.pointer, SocketState(descriptor: socket, server: server))
        unsafe SSL_set_connect_state(ssl)
        unsafe server.offerSession(to: ssl)
    }

    @unsafe private static func make(
        _ context: OpaquePointer, _ state: SocketState
    ) throws(TLSError) -> (OpaquePointer, UnsafeMutablePointer<SocketState>) {
        // SAFETY: SSL_new takes its own reference on the context, so `context` may be freed first.
        guard let ssl = unsafe SSL_new(context) else { throw .current(.newSession) }
        // SAFETY: SSL_set_bio hands the one BIO over for both directions; SSL_free frees it with the session.
        guard unsafe state.server?.name.expect(in: ssl) ?? true, let bio = unsafe BIO_new(SocketBIO.method) else {
            unsafe SSL_free(ssl)
            throw .current(.newSession)
        }
        let pointer = UnsafeMutablePointer<SocketState>.allocate(capacity: 1)
        unsafe pointer.initialize(to: state)
        unsafe BIO_set_data(bio, pointer)
        unsafe BIO_set_init(bio, 1)
        unsafe SSL_set_bio(ssl, bio, bio)
        return unsafe (ssl, pointer)
    }

    deinit {
        // SAFETY: both were made in `init` and never passed out; the BIO is freed before its state.
        unsafe SSL_free(ssl)
        unsafe state.deinitialize(count: 1)
        unsafe state.deallocate()
    }

    /// The poller saw new bytes, or with `closing` their end: the next read asks the kernel again.
    package mutating func socketBecameReadable(closing: Bool) {
        unsafe state.pointee.isDrained = false
        if closing { unsafe state.pointee.isPeerClosing = true }
    }

    /// The peer's first byte is a letter, not that of a TLS record: it speaks plain HTTP.
    ///
    /// `mutating`, like `version`, only because Swift cannot borrow the payload of an optional noncopyable value.
    package mutating func peerSentPlainHTTP() -> Bool {
        guard let byte = unsafe state.pointee.firstByte else { return false }
        return byte.isLetter
    }

    /// Continues the handshake as far as the socket allows: call again when the socket is ready for the result's
    /// operation.
    package mutating func handshake() throws(TLSError) -> TLSProgress {
        clearStaleErrors()
        let status = unsafe SSL_do_handshake(ssl)
        guard let server = unsafe state.pointee.server else {
            let progress = try progress(of: .handshake, status: status, bytes: 0)
            if case .done = progress { unsafe state.pointee.isEstablished = true }
            return progress
        }
        do throws(TLSError) {
            let progress = try progress(of: .handshake, status: status, bytes: 0)
            if case .done = progress {
                try checkProtocol()
                unsafe state.pointee.isEstablished = true
            }
            return progress
        } catch {
            // The session may be the cause, so the next connection does not offer it.
            server.forgetSession()
            throw verificationFailure() ?? error
        }
    }

    /// Why the server's certificate was refused, if it was.
    private func verificationFailure() -> TLSError? {
        let result = unsafe SSL_get_verify_result(ssl)
        guard result != Int(X509_V_OK) else { return nil }
        // SAFETY: a string of OpenSSL's own that is never freed.
        return TLSError(.verify, reason: unsafe String(cString: X509_verify_cert_error_string(result)))
    }

    /// Refuses a server that speaks another protocol than HTTP/1.1. Without ALPN, a server speaks HTTP/1.1.
    ///
    /// WORKAROUND: OpenSSL checks this itself since 3.0.15
    /// (<https://openssl-library.org/news/vulnerabilities/#CVE-2024-5535>).
    private func checkProtocol() throws(TLSError) {
        var text: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        // SAFETY: the text belongs to the session and has `length` bytes.
        unsafe SSL_get0_alpn_selected(ssl, &text, &length)
        guard let text = unsafe text, length > 0 else { return }
        let chosen = unsafe String(decoding: UnsafeBufferPointer(start: text, count: Int(length)), as: UTF8.self)
        guard chosen == "http/1.1" else {
            throw TLSError(.handshake, reason: "the server chose a protocol that was not offered: \(chosen)")
        }
    }

    /// Decrypts the bytes that have arrived into `output[from...]`, which must not be empty.
    package mutating func read(into output: inout [UInt8], from: Int) throws(TLSError) -> TLSProgress {
        precondition(from < output.count, "a read needs room")
        var count = 0
        clearStaleErrors()
        // SAFETY: `from` is inside the array; OpenSSL writes at most the rest; the pointer does not escape.
        let status = unsafe output.withUnsafeMutableBytes { bytes in
            unsafe SSL_read_ex(ssl, bytes.baseAddress.map { unsafe $0 + from }, bytes.count - from, &count)
        }
        if status == 1 { unsafe state.pointee.messagesWithoutData = 0 }
        return try progress(of: .read, status: status, bytes: count)
    }

    /// Encrypts and sends the front of `input[from...]`. After `wantsWrite` the same bytes must be offered again.
    package mutating func write(_ input: [UInt8], from: Int, to end: Int? = nil) throws(TLSError) -> TLSProgress {
        let end = end ?? input.count
        precondition(from < end && end <= input.count, "a write needs bytes")
        var count = 0
        clearStaleErrors()
        // SAFETY: `from..<end` is inside the array; OpenSSL only reads; the pointer does not escape.
        let status = unsafe input.withUnsafeBytes { bytes in
            unsafe SSL_write_ex(ssl, bytes.baseAddress.map { unsafe $0 + from }, end - from, &count)
        }
        return try progress(of: .write, status: status, bytes: count)
    }

    /// Sends close_notify (RFC 9112, section 9.8). Does not wait for the peer's.
    package mutating func sendClose() {
        clearStaleErrors()
        _ = unsafe SSL_shutdown(ssl)
        clearStaleErrors()
    }

    /// Whether sessions may keep buffers: the loaded OpenSSL can release them safely.
    package static let canKeepBuffers = OpenSSLVersion.loaded.freesBuffersSafely

    /// Keeps the buffers for records, some 34 KiB, between reads and writes. To allocate them for each takes 3 % of a small
    /// request's instructions. A new session does not keep them.
    package mutating func keepBuffers() {
        precondition(TLSSession.canKeepBuffers, "this OpenSSL must not release buffers")
        unsafe copenssl_keep_buffers(ssl)
    }

    /// Ends `keepBuffers`. A buffer that still holds bytes is freed when those have been read or sent.
    package mutating func releaseBuffers() { unsafe copenssl_release_buffers(ssl) }

    /// A read would return nothing now: the socket is drained, and the session holds no byte.
    package mutating func isKnownEmpty() -> Bool { unsafe state.pointee.isDrained && SSL_has_pending(ssl) == 0 }

    /// The protocol version, such as `TLSv1.3`.
    package mutating func version() -> String { unsafe String(cString: SSL_get_version(ssl)) }

    /// Whether the version is 1.3, not 1.2. Known after the handshake.
    package mutating func isVersion13() -> Bool { unsafe SSL_version(ssl) == TLS1_3_VERSION }

    /// An earlier session was resumed: this handshake has no certificate. Known after the handshake.
    package mutating func isResumed() -> Bool { unsafe SSL_session_reused(ssl) == 1 }

    /// The error queue is per thread, not per session: a stale entry would count as ours. The queue is nearly always
    /// empty, and peeking costs a quarter of clearing.
    private func clearStaleErrors() {
        if ERR_peek_error() != 0 { ERR_clear_error() }
    }

    /// The one place where `SSL_get_error` becomes a Swift value.
    private func progress(
        of operation: TLSError.Operation, status: Int32, bytes: Int
    ) throws(TLSError) -> TLSProgress {
        guard status != 1 else { return .done(bytes: bytes) }
        switch unsafe SSL_get_error(ssl, status) {
        case SSL_ERROR_WANT_READ: return .wantsRead
        case SSL_ERROR_WANT_WRITE: return .wantsWrite
        case SSL_ERROR_ZERO_RETURN: return .closedByPeer
        default: throw .current(operation)
        }
    }
}
