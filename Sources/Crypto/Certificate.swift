internal import COpenSSL

/// Reads the properties of a certificate that the gateway needs.
enum Certificate {
    /// Whole days until the certificate expires; negative if it has expired.
    @unsafe static func daysLeft(of certificate: OpaquePointer) -> Int {
        var days: Int32 = 0
        var seconds: Int32 = 0
        // SAFETY: the end belongs to the certificate; `nil` as the start means now.
        guard unsafe ASN1_TIME_diff(&days, &seconds, nil, X509_get0_notAfter(certificate)) == 1 else { return 0 }
        return seconds < 0 ? Int(days) - 1 : Int(days)
    }

    /// The DNS names, in lower case, among the subject alternative names: those that server name indication can select.
    @unsafe static func names(of certificate: OpaquePointer) -> [String] {
        // SAFETY: X509_get_ext_d2i returns a stack owned by us, freed below; its entries live as long as it.
        guard let raw = unsafe X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) else { return [] }
        let names = OpaquePointer(raw)
        defer { unsafe GENERAL_NAMES_free(names) }
        var found: [String] = []
        for index in unsafe 0..<max(0, OPENSSL_sk_num(names)) {
            guard let entry = unsafe OPENSSL_sk_value(names, index) else { continue }
            let name = unsafe entry.assumingMemoryBound(to: GENERAL_NAME.self)
            guard unsafe name.pointee.type == GEN_DNS, let text = unsafe name.pointee.d.dNSName else { continue }
            let length = unsafe Int(ASN1_STRING_length(text))
            guard let bytes = unsafe ASN1_STRING_get0_data(text) else { continue }
            let buffer = unsafe UnsafeBufferPointer(start: bytes, count: length)
            unsafe found.append(String(decoding: buffer, as: UTF8.self).lowercased())
        }
        return found
    }
}
