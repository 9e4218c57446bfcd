internal import COpenSSL

/// A certificate with its private key, as PEM text.
package struct PEMIdentity: Sendable {
    package let certificate: [UInt8]
    /// The private key. It is not encrypted.
    package let key: [UInt8]

    package init(certificate: [UInt8], key: [UInt8]) {
        self.certificate = certificate
        self.key = key
    }
}

/// Makes the certificates of a first run: a certificate authority of this machine, and a server certificate that it
/// signs. They are for trials; a deployment brings its own certificates.
package enum LocalAuthority {
    /// The lifetime of a server certificate.
    package static let serverDays = 90

    /// A self-signed authority, valid for ten years, and only for `names` if there are any. They have OpenSSL's form of
    /// name constraints, such as `DNS:localhost` and `IP:127.0.0.1/255.255.255.255`.
    package static func makeAuthority(
        commonName: String, onlyFor names: [String] = [], now: Int
    ) throws(TLSError) -> PEMIdentity {
        let permitted = names.map { "permitted;\($0)" }.joined(separator: ",")
        return try issue(
            commonName: commonName, days: 3650, now: now, signedBy: nil,
            extensions: [
                (NID_basic_constraints, "critical,CA:TRUE,pathlen:0"),
                (NID_key_usage, "critical,keyCertSign,cRLSign"),
                (NID_subject_key_identifier, "hash"),
            ] + (names.isEmpty ? [] : [(NID_name_constraints, "critical,\(permitted)")]))
    }

    /// The end of the first certificate of a PEM text, in seconds since the epoch.
    package static func end(of pem: [UInt8]) throws(TLSError) -> Int {
        ERR_clear_error()
        let certificate = unsafe try readCertificate(pem)
        // SAFETY: we own the certificate and the epoch, and free both; the end belongs to the certificate.
        defer { unsafe X509_free(certificate) }
        let epoch = unsafe ASN1_TIME_set(nil, 0)
        defer { unsafe ASN1_TIME_free(epoch) }
        var days: Int32 = 0
        var seconds: Int32 = 0
        guard unsafe ASN1_TIME_diff(&days, &seconds, epoch, X509_get0_notAfter(certificate)) == 1 else {
            throw .current(.loadCertificate)
        }
        return Int(days) * 86_400 + Int(seconds)
    }

    /// A server certificate for `names` in OpenSSL's form, such as `DNS:localhost` and `IP:127.0.0.1`.
    package static func issueServerCertificate(
        commonName: String, names: [String], signedBy authority: PEMIdentity, now: Int
    ) throws(TLSError) -> PEMIdentity {
        try issue(
            commonName: commonName, days: serverDays, now: now, signedBy: authority,
            extensions: [
                (NID_basic_constraints, "critical,CA:FALSE"),
                (NID_key_usage, "critical,digitalSignature"),
                (NID_ext_key_usage, "serverAuth"),
                (NID_subject_key_identifier, "hash"),
                (NID_authority_key_identifier, "keyid:always"),
                (NID_subject_alt_name, names.joined(separator: ",")),
            ])
    }

    private static func issue(
        commonName: String, days: Int, now: Int, signedBy authority: PEMIdentity?, extensions: [(Int32, String)]
    ) throws(TLSError) -> PEMIdentity {
        ERR_clear_error()
        // SAFETY: each object below is owned here and freed by its `defer`; OpenSSL takes references where it keeps one.
        guard let key = unsafe copenssl_generate_p256() else { throw .current(.issueCertificate) }
        defer { unsafe EVP_PKEY_free(key) }
        guard let certificate = unsafe X509_new() else { throw .current(.issueCertificate) }
        defer { unsafe X509_free(certificate) }
        var issuerCertificate: OpaquePointer?
        var issuerKey: OpaquePointer?
        defer {
            unsafe X509_free(issuerCertificate)
            unsafe EVP_PKEY_free(issuerKey)
        }
        if let authority {
            unsafe issuerCertificate = try readCertificate(authority.certificate)
            unsafe issuerKey = try readKey(authority.key)
        }

        unsafe X509_set_version(certificate, 2)
        // A random serial of 63 bits: RFC 5280, section 4.1.2.2, requires a unique and positive one.
        let serial = SecureRandom.bytes(8).reduce(0 as UInt64) { $0 << 8 | UInt64($1) } >> 1
        unsafe ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial)
        // A day of slack for clients whose clocks are slow.
        unsafe ASN1_TIME_set(X509_getm_notBefore(certificate), now - 86_400)
        unsafe ASN1_TIME_set(X509_getm_notAfter(certificate), now + days * 86_400)
        guard let subject = unsafe X509_get_subject_name(certificate),
            unsafe X509_NAME_add_entry_by_NID(
                subject, NID_commonName, MBSTRING_UTF8, Array(commonName.utf8), Int32(commonName.utf8.count), -1, 0)
                == 1
        else { throw .current(.issueCertificate) }
        let issuer = unsafe issuerCertificate ?? certificate
        unsafe X509_set_issuer_name(certificate, X509_get_subject_name(issuer))
        unsafe X509_set_pubkey(certificate, key)

        var context = unsafe X509V3_CTX()
        unsafe X509V3_set_ctx(&context, issuer, certificate, nil, nil, 0)
        for (identifier, value) in extensions {
            guard let `extension` = unsafe X509V3_EXT_conf_nid(nil, &context, identifier, value) else {
                throw .current(.issueCertificate)
            }
            defer { unsafe X509_EXTENSION_free(`extension`) }
            guard unsafe X509_add_ext(certificate, `extension`, -1) == 1 else { throw .current(.issueCertificate) }
        }
        guard unsafe X509_sign(certificate, issuerKey ?? key, EVP_sha256()) > 0 else {
            throw .current(.issueCertificate)
        }
        return PEMIdentity(
            certificate: try unsafe pem { unsafe PEM_write_bio_X509($0, certificate) },
            key: try unsafe pem { unsafe PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) })
    }

    @unsafe private static func readCertificate(_ pem: [UInt8]) throws(TLSError) -> OpaquePointer {
        // SAFETY: the memory BIO reads the array, which outlives it; the caller owns the certificate.
        let read = unsafe pem.withUnsafeBytes { bytes -> OpaquePointer? in
            let bio = unsafe BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count))
            defer { unsafe BIO_free(bio) }
            return unsafe PEM_read_bio_X509(bio, nil, nil, nil)
        }
        guard let read = unsafe read else { throw .current(.loadCertificate) }
        return unsafe read
    }

    @unsafe private static func readKey(_ pem: [UInt8]) throws(TLSError) -> OpaquePointer {
        // SAFETY: as for the certificate.
        let read = unsafe pem.withUnsafeBytes { bytes -> OpaquePointer? in
            let bio = unsafe BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count))
            defer { unsafe BIO_free(bio) }
            return unsafe PEM_read_bio_PrivateKey(bio, nil, nil, nil)
        }
        guard let read = unsafe read else { throw .current(.loadKey) }
        return unsafe read
    }

    private static func pem(_ write: (OpaquePointer?) -> Int32) throws(TLSError) -> [UInt8] {
        // SAFETY: the memory BIO is freed here; its bytes are copied before that.
        guard let bio = unsafe BIO_new(BIO_s_mem()) else { throw .current(.issueCertificate) }
        defer { unsafe BIO_free(bio) }
        guard unsafe write(bio) == 1 else { throw .current(.issueCertificate) }
        var bytes = [UInt8](repeating: 0, count: unsafe Int(BIO_ctrl_pending(bio)))
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe BIO_read(bio, $0.baseAddress, Int32($0.count)) }
        guard Int(count) == bytes.count else { throw .current(.issueCertificate) }
        return bytes
    }
}
