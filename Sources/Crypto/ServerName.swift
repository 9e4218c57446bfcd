internal import Bytes
internal import COpenSSL
internal import Glibc

/// The server that a client connects to. The name is checked before OpenSSL sees it: OpenSSL accepts any server for an
/// empty name, and any subdomain for a name with a leading dot.
enum ServerName: Equatable {
    case address(String)
    /// In lower case, without the dot of a fully qualified name.
    case host(String)

    init?(_ text: String) {
        var v4 = in_addr()
        var v6 = in6_addr()
        // SAFETY: inet_pton reads a C string and fills the structure of the family it was asked for.
        if unsafe !text.utf8.contains(0) && (inet_pton(AF_INET, text, &v4) == 1 || inet_pton(AF_INET6, text, &v6) == 1)
        {
            self = .address(text)
            return
        }
        let name = text.hasSuffix(".") ? text.dropLast() : Substring(text)
        let labels = name.utf8.split(separator: .dot, omittingEmptySubsequences: false)
        let isSound = labels.allSatisfy { label in
            (1...63).contains(label.count) && label.allSatisfy(ServerName.isNameByte)
        }
        guard isSound, name.utf8.count <= 253 else { return nil }
        self = .host(name.lowercased())
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        byte.isLetterOrDigit || byte == .hyphen || byte == .underscore
    }

    var text: String {
        switch self {
        case .address(let text), .host(let text): text
        }
    }

    /// Makes the handshake of `ssl` request this name, and fail if the certificate is not valid for it.
    @unsafe func expect(in ssl: OpaquePointer) -> Bool {
        // SAFETY: the parameters belong to `ssl`; OpenSSL copies the text.
        let parameters = unsafe SSL_get0_param(ssl)
        switch self {
        case .address(let text):
            // Server name indication is for host names only (RFC 6066, section 3).
            return unsafe X509_VERIFY_PARAM_set1_ip_asc(parameters, text) == 1
        case .host(let text):
            // A host name in the common name does not count (RFC 9110, section 4.3.4), and `w*.example.com` is no
            // wildcard (RFC 9525, section 6.3).
            unsafe X509_VERIFY_PARAM_set_hostflags(
                parameters, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT))
            return unsafe X509_VERIFY_PARAM_set1_host(parameters, text, text.utf8.count) == 1
                && copenssl_set_server_name(ssl, text) == 1
        }
    }
}
