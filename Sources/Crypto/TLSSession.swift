internal import COpenSSL

/// How far one non-blocking operation on a session got.
package enum TLSProgress: Equatable, Sendable {
    case done(bytes: Int)
    case wantsRead
    case wantsWrite
    case closedByPeer
}

/// The server side of one TLS connection. Owns its `SSL *` and frees it exactly once.
///
/// Noncopyable and not `Sendable`: a session lives and dies on the loop that accepted its socket.
/// After any thrown ``TLSError`` the session is dead; the only thing left to do is drop it.
@safe package struct TLSSession: ~Copyable {
    private let ssl: OpaquePointer
    private let state: UnsafeMutablePointer<SocketState>

    /// Borrows `socket`: whoever owns it closes it after the session is gone.
    package init(context: TLSContext, socket: Int32) throws(TLSError) {
        // SAFETY: SSL_new takes its own reference on the context, so `context` may go first.
        guard let ssl = unsafe SSL_new(context.pointer) else { throw .current(.newSession) }
        // SAFETY: SSL_set_bio hands the one BIO over for both directions; SSL_free frees it with the session.
        guard let bio = unsafe BIO_new(SocketBIO.method) else {
            unsafe SSL_free(ssl)
            throw .current(.newSession)
        }
        let state = UnsafeMutablePointer<SocketState>.allocate(capacity: 1)
        unsafe state.initialize(to: SocketState(descriptor: socket))
        unsafe BIO_set_data(bio, state)
        unsafe BIO_set_init(bio, 1)
        unsafe SSL_set_bio(ssl, bio, bio)
        unsafe SSL_set_accept_state(ssl)
        unsafe self.ssl = ssl
        unsafe self.state = state
    }

    deinit {
        // SAFETY: both were made in `init` and nothing handed them out; the BIO dies before its state.
        unsafe SSL_free(ssl)
        unsafe state.deinitialize(count: 1)
        unsafe state.deallocate()
    }

    /// The poller saw new bytes, or with `closing` the end of them: the next read asks the kernel again.
    package mutating func socketBecameReadable(closing: Bool) {
        unsafe state.pointee.isDrained = false
        if closing { unsafe state.pointee.isPeerClosing = true }
    }

    /// The peer's first byte was not that of a TLS record but a letter: somebody speaks plain HTTP.
    ///
    /// `mutating`, like `version`, only because Swift cannot borrow the payload of an optional noncopyable value.
    package mutating func peerSpeaksPlainText() -> Bool {
        guard let byte = unsafe state.pointee.firstByte else { return false }
        return (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }

    package mutating func handshake() throws(TLSError) -> TLSProgress {
        forgetErrors()
        return try progress(of: .handshake, status: unsafe SSL_do_handshake(ssl), bytes: 0)
    }

    /// Decrypts what has arrived into `output[from...]`, of which there must be some.
    package mutating func read(into output: inout [UInt8], from: Int) throws(TLSError) -> TLSProgress {
        precondition(from < output.count, "a read needs room")
        var count = 0
        forgetErrors()
        // SAFETY: `from` is inside the array; OpenSSL writes at most the rest; the pointer does not escape.
        let status = unsafe output.withUnsafeMutableBytes { bytes in
            unsafe SSL_read_ex(ssl, bytes.baseAddress.map { unsafe $0 + from }, bytes.count - from, &count)
        }
        return try progress(of: .read, status: status, bytes: count)
    }

    /// Encrypts and sends the front of `input[from...]`. After `wantsWrite` the same bytes must be offered again.
    package mutating func write(_ input: [UInt8], from: Int) throws(TLSError) -> TLSProgress {
        precondition(from < input.count, "a write needs bytes")
        var count = 0
        forgetErrors()
        // SAFETY: `from` is inside the array; OpenSSL only reads; the pointer does not escape.
        let status = unsafe input.withUnsafeBytes { bytes in
            unsafe SSL_write_ex(ssl, bytes.baseAddress.map { unsafe $0 + from }, bytes.count - from, &count)
        }
        return try progress(of: .write, status: status, bytes: count)
    }

    /// Sends close_notify (RFC 9112, section 9.8). Does not wait for the peer's.
    package mutating func sendClose() {
        forgetErrors()
        _ = unsafe SSL_shutdown(ssl)
        forgetErrors()
    }

    /// A read could give nothing now: the socket is drained, and no byte waits inside the session.
    package mutating func isKnownEmpty() -> Bool { unsafe state.pointee.isDrained && SSL_has_pending(ssl) == 0 }

    /// The protocol version, such as `TLSv1.3`.
    package mutating func version() -> String { unsafe String(cString: SSL_get_version(ssl)) }

    package mutating func isResumed() -> Bool { unsafe SSL_session_reused(ssl) == 1 }

    /// The error queue is per thread, not per session: a stale entry would be taken for ours. It is all but always empty,
    /// and looking costs a quarter of clearing.
    private func forgetErrors() {
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
