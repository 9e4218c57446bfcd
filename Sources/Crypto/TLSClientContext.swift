internal import COpenSSL

/// The shared parts of TLS connections to upstreams: versions, ciphers, trusted authorities, the client certificate,
/// sessions to resume.
///
/// The server's certificate and name are always verified.
///
/// `@unchecked Sendable`: as for ``TLSContext``, only the session store changes after `init`, and it locks.
@safe package final class TLSClientContext: @unchecked Sendable {
    /// The files a context is made of. They are read once, by `init`.
    package struct Options: Sendable, Equatable {
        /// The certificate authorities to trust, in PEM; `nil`: those that the system trusts.
        package var authorityFile: String?
        /// The certificate chain for servers that ask for one, and its key. Both or none.
        package var certificateFile: String?
        package var keyFile: String?

        package init(authorityFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil) {
            self.authorityFile = authorityFile
            self.certificateFile = certificateFile
            self.keyFile = keyFile
        }
    }

    /// Borrowed by `TLSSession` only.
    let pointer: OpaquePointer
    let sessions = SessionStore()

    /// Reads the files; throws if one cannot be used, or if certificate and key do not belong together.
    package init(_ options: Options) throws(TLSError) {
        ERR_clear_error()
        // SAFETY: this object alone owns the new context and frees it in deinit. deinit does not run for an incomplete
        // object, so until then the context is freed here.
        guard let context = unsafe SSL_CTX_new(TLS_client_method()) else { throw .current(.newContext) }
        do throws(TLSError) {
            unsafe try TLSClientContext.configure(context, options)
        } catch {
            unsafe SSL_CTX_free(context)
            throw error
        }
        unsafe pointer = context
    }

    deinit { unsafe SSL_CTX_free(pointer) }

    @unsafe private static func configure(_ context: OpaquePointer, _ options: Options) throws(TLSError) {
        unsafe try TLSParameters.apply(to: context)
        // SAFETY: the caller owns the context; OpenSSL copies its arguments.
        unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        unsafe SSL_CTX_set_info_callback(context, countMessage)
        // Only the callback stores sessions: OpenSSL's own store is for servers.
        unsafe copenssl_set_session_cache(
            context, Int(SSL_SESS_CACHE_CLIENT) | Int(SSL_SESS_CACHE_NO_INTERNAL))
        unsafe SSL_CTX_sess_set_new_cb(context, storeSession)
        unsafe SSL_CTX_set_timeout(context, TLSClientContext.sessionSeconds)
        // Unlike the others, this function returns 0 for success.
        guard
            unsafe SSL_CTX_set_alpn_protos(
                context, TLSClientContext.offeredProtocols, UInt32(TLSClientContext.offeredProtocols.count)) == 0
        else { throw .current(.newContext) }

        if let file = options.authorityFile {
            guard unsafe SSL_CTX_load_verify_file(context, file) == 1 else { throw .current(.loadAuthority) }
        } else {
            guard unsafe SSL_CTX_set_default_verify_paths(context) == 1 else { throw .current(.loadAuthority) }
        }
        switch (options.certificateFile, options.keyFile) {
        case (nil, nil): break
        case (let certificate?, let key?):
            unsafe try TLSParameters.use(certificateFile: certificate, keyFile: key, in: context)
        case (_?, nil): throw TLSError(.loadKey, reason: "a client certificate needs its key")
        case (nil, _?): throw TLSError(.loadCertificate, reason: "a client key needs its certificate")
        }
    }

    /// How long a session can be resumed: after an hour, the certificate is verified again.
    private static let sessionSeconds = 3600

    /// `http/1.1` in the form of RFC 7301, section 3.1.
    private static let offeredProtocols: [UInt8] = [8] + Array("http/1.1".utf8)
}

/// Called when a server sends a session to resume: with TLS 1.3, in a ticket some time after the handshake.
@c private func storeSession(_ ssl: OpaquePointer?, _ session: OpaquePointer?) -> Int32 {
    // SAFETY: OpenSSL passes a live session and the SSL it came with, whose BIO and state `TLSSession` made.
    guard let ssl = unsafe ssl, let session = unsafe session, let bio = unsafe SSL_get_rbio(ssl),
        let data = unsafe BIO_get_data(bio)
    else { return 0 }
    unsafe data.assumingMemoryBound(to: SocketState.self).pointee.server?.storeSession(session)
    // The store has a copy; OpenSSL keeps its own.
    return 0
}
