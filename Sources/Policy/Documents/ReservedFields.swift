internal import Bytes

/// The fields of a forwarded request that only the gateway writes.
enum ReservedFields {
    private static let names: Set<String> = [
        "host", "content-length", "transfer-encoding", "trailer", "te", "connection", "keep-alive", "proxy-connection",
        "upgrade", "expect", "via", "forwarded", "traceparent", "tracestate", "x-trace-id", "x-request-id",
        "x-policy-version",
    ]

    private static let prefixes = ["x-gateway-", "x-forwarded-"]

    /// Returns `name` if policies may set that field.
    static func check(_ name: String) throws(UnitError) -> String {
        let example = "for example \"Authorization\" or \"x-api-key\""
        guard (1...128).contains(name.utf8.count), name.utf8.allSatisfy(\.isTokenByte) else {
            // The text may be a whole field line with the credential in it.
            throw UnitError(.badHeader, "this is not the name of a header field", example, isSecret: true)
        }
        // Servers that turn names into variables treat `-` and `_` as equal.
        let read = String(name.lowercased().map { $0 == "_" ? "-" : $0 })
        guard !names.contains(read), !prefixes.contains(where: read.hasPrefix) else {
            let reason =
                name.contains("_")
                ? "some servers read \"\(name)\" as \"\(read)\", a field that the gateway itself writes"
                : "\"\(name)\" is a field that the gateway itself writes"
            throw UnitError(.badHeader, reason, example)
        }
        return name
    }
}
