internal import Bytes
internal import HTTP
internal import Transport

/// The fields of an upstream's response that are not relayed.
enum RelayedFields {
    /// Fields that the gateway writes itself, and fields for the gateway alone: an upstream that requests a proxy's
    /// credential means the gateway (RFC 9110, section 11.7.1).
    static let dropped: FieldNameSet = [.xTraceID, .xPolicyVersion, .proxyAuthenticate]
    static let droppedWithLength = dropped.union([.contentLength])

    /// Whether a field whose name has no ``FieldName`` is dropped.
    static func isDropped(_ bytes: Span<UInt8>, _ name: Range<Int>, isMapped: Bool) -> Bool {
        bytes.spells("proxy-authentication-info", in: name) || (isMapped && UpstreamLocations.Field(bytes, name) != nil)
    }

    static let limits: FieldNameSet = [
        .rateLimit, .rateLimitPolicy, .rateLimitLimit, .rateLimitRemaining, .rateLimitReset, .xRateLimitLimit,
        .xRateLimitRemaining, .xRateLimitReset,
    ]
}
