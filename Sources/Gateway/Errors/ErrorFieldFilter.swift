internal import Bytes
internal import HTTP

/// Selects the fields of an upstream's error response that clients get with the envelope: those that clients act on. It is
/// a list of allowed names, because services and the proxies in front of them may reveal internals in any other field.
package enum ErrorFieldFilter {
    /// Whether fields with this name are kept if their value is acceptable.
    package static func isKept(_ name: String) -> Bool {
        kept.contains { name.spells($0) } || families.contains { name.begins(with: $0) }
    }

    /// The kept fields, in their order. A field with a byte that could end a line or the head is dropped entirely.
    ///
    /// `status` is the status of the response.
    package static func kept(
        of fields: [(name: String, value: String)], status: Int
    ) -> [(name: String, value: String)] {
        fields.filter { field in
            !field.name.isEmpty && field.name.utf8.allSatisfy(\.isTokenByte)
                && field.value.utf8.allSatisfy(\.isFieldValueByte) && isKept(field.name) && isFit(field, status)
        }
    }

    private static func isFit(_ field: (name: String, value: String), _ status: Int) -> Bool {
        if field.name.spells("location") { return isPath(field.value) }
        // A challenge that clients can meet: their credential is a token, whether the gateway or the upstream verifies it.
        if field.name.spells("www-authenticate") {
            return (status == 401 || status == 403) && (field.value + " ").begins(with: "bearer ")
        }
        return true
    }

    /// Whether the value is a path on this host. Browsers read `/\` as `//`, which is followed by a host.
    private static func isPath(_ value: String) -> Bool {
        var bytes = value.utf8.makeIterator()
        guard bytes.next() == UInt8(ascii: "/") else { return false }
        let second = bytes.next()
        return second != UInt8(ascii: "/") && second != UInt8(ascii: "\\")
    }

    private static let kept = [
        // What a client can do instead, or before the next try (RFC 9110). The gateway writes `Retry-After` itself.
        "allow", "location", "www-authenticate", "accept", "accept-encoding", "accept-patch", "accept-post",
        "deprecation",
        "sunset",
        // Rules of caching also hold for the envelope that replaces the body.
        "cache-control", "expires", "age", "vary",
        // Ids for finding a request. The upstream's `Proxy-Status` is not kept: it reveals the names of internal
        // proxies and their next hops (RFC 9209, section 4).
        "x-request-id", "request-id", "x-correlation-id",
        // Documented for this API.
        "aitronos-organization", "freddy-processing-ms", "freddy-api-version",
        // Needed by browsers to show an error to scripts, and to treat it as data.
        "strict-transport-security", "x-content-type-options", "access-control-allow-origin",
        "access-control-allow-credentials", "access-control-allow-headers", "access-control-allow-methods",
        "access-control-expose-headers", "access-control-max-age",
        // Limits (draft-ietf-httpapi-ratelimit-headers, and earlier forms).
        "ratelimit", "ratelimit-policy",
    ]

    /// The fields of services with several limits, such as `X-RateLimit-Limit-Tokens`.
    private static let families = ["ratelimit-", "x-ratelimit-", "x-rate-limit-"].flatMap { front in
        ["limit", "remaining", "reset", "used"].map { front + $0 }
    }
}
