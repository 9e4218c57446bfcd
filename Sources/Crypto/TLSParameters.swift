internal import COpenSSL

/// The settings common to servers and clients: versions, ciphers, groups, and OpenSSL's use of memory.
enum TLSParameters {
    @unsafe static func apply(to context: OpaquePointer) throws(TLSError) {
        // SAFETY: the caller owns the context; OpenSSL copies its arguments.
        unsafe copenssl_set_min_version(context, TLS1_2_VERSION)
        unsafe copenssl_set_common_options(context)
        // Partial writes: a large message streams. Moving buffers: the array may grow between attempts. Released
        // buffers: a connection has record buffers only while it reads or writes, unless `TLSSession.keepBuffers` was called.
        unsafe copenssl_set_mode(
            context,
            Int(SSL_MODE_ENABLE_PARTIAL_WRITE) | Int(SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER)
                | Int(SSL_MODE_RELEASE_BUFFERS))
        // One recv for a record's header and body.
        unsafe copenssl_set_read_ahead(context)
        guard
            unsafe SSL_CTX_set_cipher_list(
                context, "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!eNULL:!SHA1:!SHA256:!SHA384:@STRENGTH") == 1,
            unsafe SSL_CTX_set_ciphersuites(
                context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") == 1,
            unsafe copenssl_set_groups(context, "X25519:P-256:P-384") == 1
        else { throw .current(.newContext) }
    }

    @unsafe static func use(
        certificateFile: String, keyFile: String, in context: OpaquePointer
    ) throws(TLSError) {
        // SAFETY: as above.
        guard unsafe SSL_CTX_use_certificate_chain_file(context, certificateFile) == 1 else {
            throw .current(.loadCertificate)
        }
        guard unsafe SSL_CTX_use_PrivateKey_file(context, keyFile, SSL_FILETYPE_PEM) == 1 else {
            // OpenSSL compares the key with the certificate as soon as it has read it.
            let isMismatch = copenssl_is_key_mismatch(ERR_peek_last_error()) == 1
            throw .current(isMismatch ? .keyMismatch : .loadKey)
        }
        guard unsafe SSL_CTX_check_private_key(context) == 1 else { throw .current(.keyMismatch) }
    }
}
