internal import HTTP

/// Which fields of an upstream's error reach the client with the envelope that replaces its body.
package enum ErrorFields {
    /// Whether a field of that name goes on as it is. Everything does but what is said of the replaced body, of the
    /// connection to the upstream, and what the gateway says itself.
    ///
    /// Kept on purpose: `Cache-Control`, `Expires`, `Age` and `Vary`, as an error that must not be stored must not be stored in
    /// our words either, `WWW-Authenticate`, `Allow`, `Location`, request ids, the upstream's limits and its `Proxy-Status`.
    package static func isKept(_ name: String) -> Bool {
        if name.begins(with: "content-") { return name.begins(with: "content-security-policy") }
        return !dropped.contains { name.spells($0) }
    }

    /// The fields that go on, in their order. What could end a line or the head is dropped whole, and so is a `Proxy-Status`
    /// beside which ours could not be read.
    package static func kept(
        of fields: [(name: String, value: String)]
    ) -> [(name: String, value: String)] {
        fields.filter { field in
            !field.name.isEmpty && field.name.utf8.allSatisfy(\.isTokenByte)
                && field.value.utf8.allSatisfy(\.isFieldValueByte) && isKept(field.name)
                && (!field.name.spells("proxy-status") || StructuredListCheck.passes(field.value))
        }
    }

    private static let dropped =
        [
            // Of the body that was replaced (RFC 9110, section 8; RFC 9530); signatures cover it (RFC 9421).
            "etag", "last-modified", "accept-ranges", "digest", "repr-digest", "signature", "signature-input",
            // Of the connection to the upstream (RFC 9110, section 7.6.1, and 11.7).
            "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
            "proxy-authenticate", "proxy-authentication-info",
            // The gateway's own.
            "date", "retry-after", "x-trace-id", "x-policy-version",
        ]
}
