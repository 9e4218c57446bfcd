internal import Bytes
internal import HTTP

/// Which fields of an upstream's error reach the client with the envelope that replaces its body: what clients act on, and no
/// other. A list of what goes on, because nobody knows what services, and what runs in front of them, say about themselves.
package enum ErrorFieldFilter {
    /// Whether fields of that name go on, their values permitting.
    package static func isKept(_ name: String) -> Bool {
        kept.contains { name.spells($0) } || families.contains { name.begins(with: $0) }
    }

    /// The fields that go on, in their order. What could end a line or the head is dropped whole.
    ///
    /// `status` is the answer's.
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
        // A challenge that clients of the gateway can meet: their credential is a token, whoever verifies it.
        if field.name.spells("www-authenticate") {
            return (status == 401 || status == 403) && (field.value + " ").begins(with: "bearer ")
        }
        return true
    }

    /// A path of this host. Browsers read `/\` as `//`, behind which there is a host.
    private static func isPath(_ value: String) -> Bool {
        var bytes = value.utf8.makeIterator()
        guard bytes.next() == UInt8(ascii: "/") else { return false }
        let second = bytes.next()
        return second != UInt8(ascii: "/") && second != UInt8(ascii: "\\")
    }

    private static let kept = [
        // What to do instead, or before the next try (RFC 9110). `Retry-After` is written anew.
        "allow", "location", "www-authenticate", "accept", "accept-encoding", "accept-patch", "accept-post",
        "deprecation",
        "sunset",
        // An error that must not be stored must not be stored in our words either.
        "cache-control", "expires", "age", "vary",
        // What a request is found by. The upstream's `Proxy-Status` tells how the proxies of the inside are called, and what is
        // behind them (RFC 9209, section 4).
        "x-request-id", "request-id", "x-correlation-id",
        // Documented for this API.
        "aitronos-organization", "freddy-processing-ms", "freddy-api-version",
        // What browsers need to show scripts an error, and to treat it as data.
        "strict-transport-security", "x-content-type-options", "access-control-allow-origin",
        "access-control-allow-credentials", "access-control-allow-headers", "access-control-allow-methods",
        "access-control-expose-headers", "access-control-max-age",
        // The limits (draft-ietf-httpapi-ratelimit-headers, and its forerunners).
        "ratelimit", "ratelimit-policy",
    ]

    /// The limits of services that have several, such as `X-RateLimit-Limit-Tokens`.
    private static let families = ["ratelimit-", "x-ratelimit-", "x-rate-limit-"].flatMap { front in
        ["limit", "remaining", "reset", "used"].map { front + $0 }
    }
}
